import { setTimeout as sleep } from 'node:timers/promises'
import { startRedis, startRedisReplica } from './redis.mjs'

const NAME = 'onceward'

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
  const failedOver = async (old) => {
    let now
    await until(`Sentinel still names ${old.port} as primary`, async () => {
      now = await primary()
      return now !== old && /^role:master/m.test(await now.command('INFO', 'replication'))
    })
    return now
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
      await ask(sentinels, 'FAILOVER', NAME)
      return failedOver(old)
    },
    failedOver,
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

function startSentinel(primary, count, password) {
  const quorum = Math.floor(count / 2) + 1
  return startRedis({
    sentinel: true,
    config: {
      // In this order: the first line declares what the others speak of.
      'sentinel monitor': `${NAME} ${primary.host} ${primary.port} ${quorum}`,
      'sentinel down-after-milliseconds': `${NAME} 500`,
      'sentinel failover-timeout': `${NAME} 3000`,
      'sentinel parallel-syncs': `${NAME} 1`,
      ...(password === undefined ? {} : { 'sentinel auth-pass': `${NAME} ${JSON.stringify(password)}` }),
    },
  })
}

async function allKnown(sentinels, replicaCount) {
  for (const sentinel of sentinels) {
    const fields = await sentinel.command('SENTINEL', 'MASTER', NAME)
    const field = (name) => fields[fields.indexOf(name) + 1]
    if (Number(field('num-slaves')) !== replicaCount) return false
    if (Number(field('num-other-sentinels')) !== sentinels.length - 1) return false
    // Before it has heard from a replica it would find none good enough to promote.
    const replicas = await sentinel.command('SENTINEL', 'REPLICAS', NAME)
    if (replicas.some((each) => each[each.indexOf('master-link-status') + 1] !== 'ok')) return false
  }
  return true
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
