// Shows what a client does with commands whose replies were lost, bare and wrapped. Needs REDIS_URL. See README.md.
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { Redis } from 'ioredis'
import { safeRedis } from 'onceward/redis-retry'
import { createClient, ErrorReply } from 'redis'
import { startKillingProxy } from './killing-proxy.js'

const { values: options } = parseArgs({
  options: {
    commands: { type: 'string', default: '1000' },
    'in-flight': { type: 'string', default: '20' },
    'kill-every': { type: 'string', default: '50' },
  },
})
const commands = Number(options.commands)
const inFlight = Number(options['in-flight'])
const killEvery = Number(options['kill-every'])

/** ioredis as it comes: it sends again by itself what was not answered. */
async function bareIoredis(url) {
  const client = await openIoredis(new Redis(url))
  return { send: (...words) => client.call(...words), close: () => client.disconnect() }
}

/** node-redis as it comes sends nothing again; the service does, in the way that many services do. */
async function bareNodeRedis(url) {
  const client = await openNodeRedis(url)
  const send = async (...words) => {
    for (;;) {
      try {
        return await client.sendCommand(words)
      } catch (error) {
        if (error instanceof ErrorReply) throw error
        await pause(5)
      }
    }
  }
  return { send, close: () => client.destroy() }
}

async function safeIoredis(url) {
  const sendsOnce = {
    autoResendUnfulfilledCommands: false,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
  }
  const client = await openIoredis(new Redis(url, sendsOnce))
  return wrapped(client, () => client.disconnect())
}

async function safeNodeRedis(url) {
  const client = await openNodeRedis(url)
  return wrapped(client, () => client.destroy())
}

function wrapped(client, close) {
  const redis = safeRedis(client, { prefix: 'redis-retry:markers' })
  return {
    send: (...words) => redis.call(...words),
    replays: () => redis.stats().replays,
    close: () => redis.close().finally(close),
  }
}

async function openIoredis(client) {
  client.on('error', () => {})
  if (client.status !== 'ready') await new Promise((resolve) => client.once('ready', resolve))
  return client
}

async function openNodeRedis(url) {
  const client = createClient({ url, socket: { reconnectStrategy: 10 } })
  client.on('error', () => {})
  return client.connect()
}

const CLIENTS = [
  ['ioredis as it comes', bareIoredis, false],
  ['node-redis, repeated on a lost connection', bareNodeRedis, false],
  ['safeRedis over ioredis', safeIoredis, true],
  ['safeRedis over node-redis', safeNodeRedis, true],
]

/** Sends `commands` commands through the proxy, so many at a time, and answers the replies. */
async function throughBadNetwork(proxy, client, ...words) {
  const replies = []
  let left = commands
  const errors = []
  const caller = async () => {
    while (left-- > 0)
      await client.send(...words).then(
        (reply) => replies.push(reply),
        (error) => errors.push(error),
      )
  }
  proxy.kills = 0
  proxy.every = killEvery
  await Promise.all(Array.from({ length: inFlight }, caller))
  proxy.every = 0
  return { replies, errors, kills: proxy.kills }
}

async function run() {
  const url = new URL(process.env.REDIS_URL)
  const proxy = await startKillingProxy(url)
  const direct = await createClient({ url: url.href })
    .on('error', () => {})
    .connect()
  const counter = 'redis-retry:counter'
  const list = 'redis-retry:list'
  let good = true
  try {
    console.log(
      `${commands} INCRs and ${commands} LPOPs, ${inFlight} at a time; the connection is reset instead of every ${killEvery}th reply\n`,
    )
    for (const [name, open, isSafe] of CLIENTS) {
      const client = await open(proxy.url)
      await direct.del([counter, list])
      const counted = await throughBadNetwork(proxy, client, 'INCR', counter)
      const executed = Number(await direct.get(counter))
      await direct.rPush(
        list,
        Array.from({ length: commands }, (_, place) => `element ${place}`),
      )
      const taken = await throughBadNetwork(proxy, client, 'LPOP', list)
      const elements = new Set(taken.replies.filter((reply) => reply !== null)).size
      const lost = commands - elements - (await direct.lLen(list))
      const errors = counted.errors.length + taken.errors.length
      await client.close()

      const right = executed === counted.replies.length && lost === 0 && errors === 0
      good &&= right === isSafe
      console.log(name)
      console.log(
        `  ${counted.kills + taken.kills} times the connection was reset, ${errors} errors were told`,
      )
      console.log(
        `  INCR: ${counted.replies.length} acknowledged, ${executed} executed, ${executed - counted.replies.length} too many`,
      )
      console.log(
        `  LPOP: ${taken.replies.length} acknowledged, ${elements} elements handed out, ${lost} lost`,
      )
      if (isSafe) console.log(`  ${client.replays()} duplicates were recognised and answered the first reply`)
      console.log()
    }
  } finally {
    await direct.del([counter, list]).catch(() => {})
    direct.destroy()
    await proxy.stop()
  }
  console.log(good ? 'ok: bare clients repeat, the wrapped ones do not' : 'WRONG: not what this was to show')
  return good
}

process.exitCode = (await run()) ? 0 : 1
