import type { IoRedisClient, IoRedisCluster, IoRedisPipeline } from './redis-handle.ts'
import type {
  RedisArgument,
  RedisLink,
  RedisTopology,
  SubscriberEvents,
  SubscriberLink,
} from './redis-link.ts'

type IoRedis = IoRedisClient | IoRedisCluster

/** Sends over a client of ioredis. */
export function ioRedisLink(client: IoRedis): RedisLink {
  const cluster = client.isCluster === true ? (client as IoRedisCluster) : undefined
  const gather = cluster ? gathering(cluster) : () => {}
  const topology: RedisTopology = cluster ? 'cluster' : client.options.sentinels ? 'sentinel' : 'standalone'
  return {
    client: 'ioredis',
    topology,
    where: whereOf(client, topology),
    closedReason: () =>
      client.status === 'end' ? 'the ioredis client is closed; make a new one' : undefined,
    isReady: () => client.status === 'ready',
    onceReady(back) {
      // A lazy client is connected by its first command, which is kept back until then.
      if (client.status === 'wait') client.connect().catch(() => {})
      const once = () => {
        client.off('ready', once)
        back()
      }
      client.on('ready', once)
      return () => void client.off('ready', once)
    },
    send(commands) {
      gather()
      if (cluster && commands.length > 1) return together(cluster.pipeline(), commands)
      return commands.map((command) => call(client, command))
    },
    // By its name in small letters a command is answered as by the method of that name.
    sendPlain: ([name, ...args], _key, form) =>
      call(client, [String(name).toLowerCase(), ...args], form === 'own' ? 'call' : 'callBuffer'),
    sendToMasters: (command) =>
      (cluster ? cluster.nodes('master') : [client]).map((node) => call(node, command)),
    openSubscriber: (events) =>
      cluster
        ? subscriberOn(cluster.duplicate([], { lazyConnect: true }), events, false)
        : // Subscribed again by hand, so that it is known from when on nothing is missed.
          subscriberOn(
            (client as IoRedisClient).duplicate({
              lazyConnect: true,
              autoResubscribe: false,
              monitor: false,
            }),
            events,
            true,
          ),
    close: () => {},
  }
}

/**
 * What is sent to the nodes of a cluster in one turn of the event loop is written once to each, not command by command:
 * a write takes longer than to make the command. Each command is still one of its own, and is redirected by itself.
 */
function gathering(cluster: IoRedisCluster): () => void {
  let held = false
  return () => {
    if (held) return
    held = true
    const streams = cluster.nodes('master').map((node) => node.stream)
    for (const stream of streams) stream?.cork?.()
    process.nextTick(() => {
      held = false
      for (const stream of streams) stream?.uncork?.()
    })
  }
}

function call(
  client: IoRedis,
  command: readonly RedisArgument[],
  method: 'call' | 'callBuffer' = 'callBuffer',
): Promise<unknown> {
  // What `enableAutoPipelining` makes of `callBuffer` ends the process (ioredis 5 and 6); a pipeline of one is left alone.
  if (client.options.enableAutoPipelining === true)
    return together(client.pipeline(), [command], method)[0] as Promise<unknown>
  return client[method](...(command as [string, ...RedisArgument[]]))
}

/** Writes commands together; those for a cluster, over the connection of one node of it. */
function together(
  pipeline: IoRedisPipeline,
  commands: readonly (readonly RedisArgument[])[],
  method: 'call' | 'callBuffer' = 'callBuffer',
): Promise<unknown>[] {
  for (const [name, ...args] of commands) pipeline[method](String(name), ...args)
  const all = pipeline.exec()
  return commands.map(async (_, index) => {
    const [error, reply] = (await all)?.[index] ?? [new Error('the pipeline was not carried out'), undefined]
    if (error) throw error
    return reply
  })
}

function subscriberOn(own: IoRedis, events: SubscriberEvents, tellsDown: boolean): SubscriberLink {
  // Without a listener ioredis writes each error to the console.
  own.on('error', () => {})
  own.on('message', (channel: string, payload: string) => events.message(channel, payload))
  own.on('ready', () => events.ready())
  own.on('close', () => events.down())
  own.connect().catch(() => events.down())
  return {
    tellsDown,
    subscribe: async (channels) => void (await own.subscribe(...channels)),
    unsubscribe: async (channels) => void (await own.unsubscribe(...channels)),
    close: () => own.disconnect(),
  }
}

function whereOf(client: IoRedis, topology: RedisTopology): string {
  const { host, port, path, name } = client.options
  if (topology === 'cluster') return 'the Redis Cluster'
  if (topology === 'sentinel') return `Redis "${name ?? ''}" behind Sentinel`
  return `Redis at ${path ?? `${host ?? 'localhost'}:${port ?? 6379}`}`
}
