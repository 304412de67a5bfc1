import { setTimeout as sleep } from 'node:timers/promises'
import { inSync, startRedis, startRedisReplica } from './redis.mjs'

const NAME = 'onceward'

/** Sentinel looks around every ten seconds by itself; a test has no such time. In ms. */
const HASTE = [
  ...['info-period', '200', 'publish-period', '200', 'ask-period', '200'],
  ...['min-link-reconnect-period', '500', 'slave-reconf-timeout', '2000'],
  // After it was kept from running it does nothing for so long.
  ...['tilt-period', '1000'],
]

/** A primary that is to be replaced counts as dead after so long, in ms; any other not for a machine that is busy. */
const SOON_MS = '500'
const LATE_MS = '10000'

/** A failover that takes longer has failed. */
const MOST_MS = 30_000

/** See index.d.mts. */
export async function startRedisSentinel({
  replicas: replicaCount = 1,
  sentinels: sentinelCount = 1,
  config = {},
  password,
} = {}) {
  const nodes = []
  const sentinels = []
  const stop = async () => void (await Promise.all([...sentinels, ...nodes].map((server) => server.stop())))
  try {
    const first = await startRedis({ config, password })
    nodes.push(first)
    for (let index = 0; index < replicaCount; index++)
      nodes.push(await startRedisReplica(first, { config, password }))
    for (let index = 0; index < sentinelCount; index++)
      sentinels.push(await startSentinel(first, sentinelCount, password))
    await until('the sentinels do not find everybody', () => allKnown(sentinels, replicaCount))
  } catch (error) {
    await stop()
    throw error
  }
  const nodeAt = (port) => {
    const node = nodes.find((each) => each.port === Number(port))
    if (!node) throw new Error(`Sentinel names port ${port}, which is none of ours`)
    return node
  }
  const primary = async () => nodeAt((await ask(sentinels, 'GET-MASTER-ADDR-BY-NAME', NAME))[1])
  const countsAsDeadAfter = (ms) =>
    Promise.all(sentinels.map((each) => each.command('SENTINEL', 'SET', NAME, 'down-after-milliseconds', ms)))
  const failedOver = async (old) => {
    if (old.pid === undefined) await countsAsDeadAfter(SOON_MS)
    let now
    await until(`Sentinel still names ${old.port} as primary`, async () => {
      now = await primary()
      return now !== old && /^role:master/m.test(await now.command('INFO', 'replication'))
    })
    // Until it has told the other replicas too, Sentinel does not notice that the new primary dies.
    await until(
      'the failover does not end',
      async () => !(await fieldsOf(sentinels[0])).flags.includes('failover'),
    )
    await countsAsDeadAfter(LATE_MS)
    return now
  }
  const settle = async () => {
    const now = await primary()
    const others = nodes.filter((node) => node !== now && node.pid !== undefined)
    // Sentinel may be about it too, and ends all connections of a node that it sends to another primary.
    for (const node of others) {
      await until('a node does not follow the primary', async () => {
        await node.command('REPLICAOF', now.host, String(now.port))
        await inSync(node)
        return true
      })
    }
    await until('the sentinels do not see everybody in place', () => allKnown(sentinels, others.length))
  }
  const { version, source } = nodes[0]
  return {
    version,
    source,
    name: NAME,
    sentinels,
    nodes,
    url: `redis+sentinel://${sentinels.map(({ host, port }) => `${host}:${port}`).join(',')}/${NAME}`,
    primary,
    replicas: async () => {
      const now = await primary()
      return nodes.filter((node) => node !== now)
    },
    async failover() {
      const old = await primary()
      await until('Sentinel does not fail over', async () => {
        const { port, flags } = await fieldsOf(sentinels[0])
        if (Number(port) !== old.port || (await primary()) !== old) return true
        // It refuses while it has not heard of a replica for a moment, and gives up where one takes long to obey.
        if (!flags.includes('failover')) await ask(sentinels, 'FAILOVER', NAME)
        return false
      })
      return failedOver(old)
    },
    failedOver,
    settle,
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

async function startSentinel(primary, count, password) {
  const quorum = Math.floor(count / 2) + 1
  const sentinel = await startRedis({
    sentinel: true,
    config: {
      // In this order: the first line declares what the others speak of.
      'sentinel monitor': `${NAME} ${primary.host} ${primary.port} ${quorum}`,
      'sentinel down-after-milliseconds': `${NAME} ${LATE_MS}`,
      'sentinel failover-timeout': `${NAME} 3000`,
      'sentinel parallel-syncs': `${NAME} 1`,
      ...(password === undefined ? {} : { 'sentinel auth-pass': `${NAME} ${JSON.stringify(password)}` }),
    },
  }) // From 7.0.1 on. Without it all works the same, in tens of seconds.
  await sentinel.command('SENTINEL', 'DEBUG', ...HASTE).catch(() => {})
  return sentinel
}

async function allKnown(sentinels, replicaCount) {
  for (const sentinel of sentinels) {
    const primary = await fieldsOf(sentinel)
    if (Number(primary['num-other-sentinels']) !== sentinels.length - 1) return false
    // Before it has heard from a replica it would find none good enough to promote.
    const replicas = (await sentinel.command('SENTINEL', 'REPLICAS', NAME)).map(named)
    const good = replicas.filter(
      (replica) =>
        replica['master-link-status'] === 'ok' &&
        replica['master-port'] === primary.port &&
        replica['role-reported'] === 'slave',
    )
    if (good.length !== replicaCount) return false
  }
  return true
}

async function fieldsOf(sentinel) {
  return named(await sentinel.command('SENTINEL', 'MASTER', NAME))
}

/** Names and values come in turns. */
function named(list) {
  return Object.fromEntries(list.flatMap((name, index) => (index % 2 === 0 ? [[name, list[index + 1]]] : [])))
}

/** The answer of the first sentinel that gives one. */
async function ask(sentinels, ...parts) {
  let refused
  for (const sentinel of sentinels) {
    try {
      return await sentinel.command('SENTINEL', ...parts)
    } catch (error) {
      refused = error
    }
  }
  throw refused
}

async function until(complaint, condition) {
  for (const end = Date.now() + MOST_MS; ; await sleep(20)) {
    if (await condition().catch(() => false)) return
    if (Date.now() > end) throw new Error(`${complaint} after ${MOST_MS} ms`)
  }
}
