// One-time tokens: issue, consume and redeem, in round trips of the floor (the same claims and ends without tokens) and in
// memory for each token.
// Run: node bench/tokens/run.mjs [--rounds 3] [--ms 400] [--inFlight 64] [--tokens 5000] (after a build)
import { randomBytes } from 'node:crypto'
import { Redis } from 'ioredis'
import { createOnce } from 'onceward'
import { postgresStore } from 'onceward/postgres'
import { redisStore } from 'onceward/redis'
import { sqliteStore } from 'onceward/sqlite'
import { createTokens } from 'onceward/tokens'
import pg from 'pg'
import { startPostgres, startRedis } from '../../test-servers/index.mjs'
import { interleave } from '../lib/interleave.mjs'
import { readOptions, withFolder } from '../lib/options.mjs'
import { report, table } from '../lib/report.mjs'
import { median, number, pairedRatio, withRange } from '../lib/statistics.mjs'

const options = readOptions({ rounds: 3, ms: 400, inFlight: 64, tokens: 5000 })

/** A token that nobody has issued. */
const MADE_UP = 'A'.repeat(43)

/**
 * @typedef {{ perSecond: number, p50Us: number }} Sample
 * @typedef {() => Promise<unknown>} Step
 * @typedef {import('onceward').OperationStore} Store
 */

await withFolder(async (folder) => {
  const redis = await startRedis()
  const postgres = await startPostgres()
  const client = new Redis(redis.url)
  const database = await postgres.createDatabase()
  const pool = new pg.Pool({ connectionString: database.url, max: 16 })
  const sql = postgresStore(pool)
  const file = sqliteStore(`${folder}/tokens.sqlite`)
  try {
    await sql.migrate()
    /** @type {Record<string, Store>} */
    const stores = { SQLite: file, Redis: redisStore(client), PostgreSQL: sql }
    const parts = []
    for (const [name, store] of Object.entries(stores)) parts.push(`## ${name}`, await compared(store))
    const used = async () =>
      Number(/used_memory:(\d+)/.exec(String(await redis.command('INFO', 'memory')))?.[1])
    report('tokens', 'One-time tokens', [
      `Redis ${redis.version} (nothing saved to disk), PostgreSQL ${postgres.version} (without flushing to disk) and SQLite on the same ` +
        `machine, one client process. Medians (min–max) of ${options.rounds} interleaved rounds of ${options.ms} ms; a ratio is the median ` +
        'of the ratios within a round. The floor is `once.run` of a fresh key: one claim, one end. Consume and redeem count what ' +
        'comes after the issue; each token is used once.',
      ...parts,
      '## Memory in Redis',
      table(['a token', 'bytes'], await memory(store(stores, 'Redis'), used)),
    ])
  } finally {
    await file.close()
    await sql.close()
    client.disconnect()
    await pool.end()
    await Promise.all([redis.stop(), postgres.stop()])
  }
})

/** @param {Record<string, Store>} stores @param {string} name */
function store(stores, name) {
  const found = stores[name]
  if (found === undefined) throw new Error(`no store ${name}`)
  return found
}

/** @param {Store} store */
async function compared(store) {
  const once = createOnce({ store, scope: 'bench', cache: false })
  const tokens = createTokens({ once })
  let keys = 0
  const FLOOR = 'floor: a fresh key'
  /** @type {Record<string, (token: string) => Promise<unknown>>} */
  const ways = {
    [FLOOR]: () => once.run({ key: `key-${process.pid}-${keys++}` }, () => 1),
    issue: () => tokens.issue({ scope: 'ann', payload: { cart: 7 } }),
    consume: (token) => tokens.consume(token, { scope: 'ann' }),
    redeem: (token) => tokens.redeem(token, () => 1, { scope: 'ann' }),
    'consume, made up': () => tokens.consume(randomBytes(32).toString('base64url')),
    'consume, one made-up token': () => tokens.consume(MADE_UP),
  }
  const rows = []
  for (const callers of [1, options.inFlight]) {
    const samples = await interleave(Object.keys(ways), options.rounds, async (name) => {
      const way = ways[name]
      if (way === undefined) throw new Error(`no way ${name}`)
      return measure(
        way,
        name === 'consume' || name === 'redeem' ? () => tokens.issue({ scope: 'ann' }) : undefined,
        callers,
      )
    })
    const floor = rates(samples.get(FLOOR))
    for (const [name, own] of samples) {
      const p50 = withRange(own.map(({ p50Us }) => p50Us))
      rows.push([name, callers, withRange(rates(own)), number(pairedRatio(rates(own), floor), 2), p50])
    }
  }
  return table(['', 'in flight', 'per second', '× the floor', 'median µs'], rows)
}

/** @param {readonly Sample[]} [samples] */
function rates(samples = []) {
  return samples.map(({ perSecond }) => perSecond)
}

/**
 * Calls one after another in each of `callers` loops; what must be issued before counts for nothing.
 *
 * @param {(token: string) => Promise<unknown>} way
 * @param {(() => Promise<string>) | undefined} issue
 * @param {number} callers
 * @returns {Promise<Sample>}
 */
async function measure(way, issue, callers) {
  /** @type {number[]} */
  const took = []
  const until = performance.now() + options.ms
  const caller = async () => {
    while (performance.now() < until) {
      const token = issue === undefined ? '' : await issue()
      const from = performance.now()
      await way(token)
      took.push(performance.now() - from)
    }
  }
  await Promise.all(Array.from({ length: callers }, caller))
  // What each caller spent on the calls themselves: the issuing between them is left out.
  const spentMs = took.reduce((sum, ms) => sum + ms, 0) / callers
  return { perSecond: (took.length / spentMs) * 1000, p50Us: median(took) * 1000 }
}

/** @param {Store} store @param {() => Promise<number>} used */
async function memory(store, used) {
  const tokens = createTokens({ once: createOnce({ store, scope: 'memory', cache: false }) })
  /** @type {string[]} */
  const issued = []
  const start = await used()
  for (let from = 0; from < options.tokens; from += 500) {
    const batch = Array.from({ length: Math.min(500, options.tokens - from) }, () =>
      tokens.issue({ scope: 'ann' }),
    )
    issued.push(...(await Promise.all(batch)))
  }
  const then = await used()
  for (let from = 0; from < issued.length; from += 500)
    await Promise.all(issued.slice(from, from + 500).map((token) => tokens.consume(token)))
  const end = await used()
  return [
    ['issued', number((then - start) / issued.length)],
    ['issued and used', number((end - start) / issued.length)],
  ]
}
