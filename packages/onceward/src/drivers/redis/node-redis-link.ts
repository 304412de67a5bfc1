import { slotOf } from './key-slot.ts'
import {
  type NodeRedisClient,
  type NodeRedisCluster,
  type NodeRedisCommandOptions,
  type NodeRedisSentinel,
  nodeRedisKind,
  type SentinelLease,
} from './redis-handle.ts'
import type { RedisArgument, RedisLink, SubscriberEvents, SubscriberLink } from './redis-link.ts'

/** Bulk and simple strings as bytes, maps as flat lists; the numbers are the RESP type bytes. */
const AS_BYTES = { 36: Buffer, 43: Buffer, 37: Array }

/** As ioredis answers bytes: all strings. */
const BULK_AS_BYTES = { 36: Buffer, 43: Buffer }

type NodeRedis = NodeRedisClient | NodeRedisSentinel | NodeRedisCluster

/** Sends over a client of node-redis. */
export function nodeRedisLink(client: NodeRedis): RedisLink {
  const topology = nodeRedisKind(client) ?? 'standalone'
  const sentinel = 'getSentinelNode' in client ? sentinelLease(client) : undefined
  const send = sentinel ? sentinel.send : sender(client as NodeRedisClient | NodeRedisCluster)
  return {
    client: 'node-redis',
    topology,
    where: whereOf(client, topology),
    closedReason: () =>
      client.isOpen
        ? undefined
        : 'the node-redis client is not connected; await client.connect() before it is used',
    // Before node-redis 6 a cluster does not tell; its nodes queue what cannot leave yet.
    isReady: () => client.isReady ?? client.isOpen,
    onceReady(back) {
      const event =
        topology === 'standalone' ? 'ready' : topology === 'cluster' ? 'connect' : 'topology-change'
      const once = () => {
        client.off(event, once)
        back()
      }
      client.on(event, once)
      return () => void client.off(event, once)
    },
    send,
    sendPlain(command, key, form, abortSignal) {
      const options = {
        ...(abortSignal === undefined ? {} : { abortSignal }),
        ...(form === 'own' ? {} : { typeMapping: BULK_AS_BYTES }),
      }
      if (sentinel) return sentinel.sendPlain(command, options)
      if ('nodeClient' in client) return client.sendCommand(key, false, command, options)
      return (client as NodeRedisClient).sendCommand(command, options)
    },
    sendToMasters(command, signal) {
      const options = optionsWith(signal)
      if (!('masters' in client)) return send([command], undefined, signal)
      return client.masters.map(async (node) => (await client.nodeClient(node)).sendCommand(command, options))
    },
    openSubscriber: (events) =>
      nodeRedisKind(client) === 'standalone'
        ? ownSubscriber(client as NodeRedisClient, events)
        : builtInSubscriber(client as NodeRedisSentinel | NodeRedisCluster, events),
    close: () => sentinel?.close(),
  }
}

function sender(client: NodeRedisClient | NodeRedisCluster): RedisLink['send'] {
  if ('nodeClient' in client) {
    return (commands, key, signal) => {
      const options = optionsWith(signal)
      if (commands.length === 1 || key === undefined) {
        return commands.map((command) => client.sendCommand(key, false, command, options))
      }
      // What belongs together has to go over the connection of one node.
      const master = client.slots[slotOf(key)]?.master
      const node = master === undefined ? undefined : Promise.resolve(client.nodeClient(master))
      return commands.map(async (command) =>
        node === undefined
          ? client.sendCommand(key, false, command, options)
          : (await node).sendCommand(command, options),
      )
    }
  }
  return (commands, _key, signal) => {
    const options = optionsWith(signal)
    return commands.map((command) => client.sendCommand(command, options))
  }
}

/**
 * A sentinel client of our own, one connection of which is leased for good. Sending over the given one would lease and
 * give back its connection with every command: under steady load the second of two callers waits for ever (node-redis
 * 6.3), and what `WAIT` speaks of could have gone over another connection.
 */
function sentinelLease(client: NodeRedisSentinel): {
  readonly send: RedisLink['send']
  sendPlain(command: readonly RedisArgument[], options: NodeRedisCommandOptions): Promise<unknown>
  close(): void
} {
  let own: NodeRedisSentinel | undefined
  let lease: Promise<SentinelLease> | undefined
  const open = async (): Promise<SentinelLease> => {
    own?.destroy()
    own = client.duplicate()
    own.on('error', () => {})
    await own.connect()
    return own.acquire()
  }
  const leased = () => {
    lease ??= open().catch((error: unknown) => {
      lease = undefined
      throw error
    })
    return lease
  }
  return {
    send(commands, _key, signal) {
      const options = optionsWith(signal)
      const ready = leased()
      return commands.map(async (command) => (await ready).sendCommand(false, command, options))
    },
    sendPlain: async (command, options) => (await leased()).sendCommand(false, command, options),
    close() {
      own?.destroy()
      own = undefined
      lease = undefined
    },
  }
}

function optionsWith(abortSignal: AbortSignal | undefined): NodeRedisCommandOptions {
  return abortSignal === undefined ? WITHOUT_TIME : { ...WITHOUT_TIME, abortSignal }
}

/** Without the time that node-redis 6 gives a command to be sent, and a timer for each. */
const WITHOUT_TIME: NodeRedisCommandOptions = { typeMapping: AS_BYTES, timeout: undefined }

/** A connection of our own, which node-redis keeps up and subscribes again by itself. */
function ownSubscriber(client: NodeRedisClient, events: SubscriberEvents): SubscriberLink {
  const own = client.duplicate()
  const onMessage = (payload: string, channel: string) => events.message(channel, payload)
  // Without a listener an error would end the process; what it means for us is told by `reconnecting`.
  own.on('error', () => {})
  own.on('ready', () => events.ready())
  own.on('reconnecting', () => events.down())
  own.on('end', () => events.down())
  own.connect().catch(() => events.down())
  return {
    tellsDown: true,
    subscribe: async (channels) => void (await own.subscribe([...channels], onMessage)),
    unsubscribe: async (channels) => void (await own.unsubscribe([...channels], onMessage)),
    close() {
      if (own.isOpen) own.destroy()
    },
  }
}

/** Sentinel and cluster clients keep a connection for subscriptions themselves, and end it with the last one. */
function builtInSubscriber(
  client: NodeRedisSentinel | NodeRedisCluster,
  events: SubscriberEvents,
): SubscriberLink {
  const onMessage = (payload: string, channel: string) => events.message(channel, payload)
  const subscribed = new Set<string>()
  queueMicrotask(() => events.ready())
  return {
    tellsDown: false,
    async subscribe(channels) {
      for (const channel of channels) subscribed.add(channel)
      await client.subscribe([...channels], onMessage)
    },
    async unsubscribe(channels) {
      for (const channel of channels) subscribed.delete(channel)
      await client.unsubscribe([...channels], onMessage)
    },
    close() {
      if (subscribed.size === 0 || !client.isOpen) return
      client.unsubscribe([...subscribed], onMessage).catch(() => {})
      subscribed.clear()
    },
  }
}

function whereOf(client: NodeRedis, topology: RedisLink['topology']): string {
  const options = (client.options ?? {}) as {
    readonly url?: string
    readonly socket?: { readonly host?: string; readonly port?: number; readonly path?: string }
  }
  if (topology !== 'standalone') return topology === 'cluster' ? 'the Redis Cluster' : 'Redis behind Sentinel'
  const { host, port, path } = options.socket ?? {}
  if (path !== undefined) return `Redis at ${path}`
  if (host !== undefined) return `Redis at ${host}:${port ?? 6379}`
  const url = options.url !== undefined && URL.canParse(options.url) ? new URL(options.url) : undefined
  return `Redis at ${url ? url.host : 'localhost:6379'}`
}
