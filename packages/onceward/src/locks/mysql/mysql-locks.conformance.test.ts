import { createPool, type Pool } from 'mysql2/promise'
import { it } from 'vitest'
import { describeWith, type SqlEndpoint } from '../../../../../test-servers/index.mjs'
import { type LockHarness, lockConformance, registerCases } from '../../testing/index.ts'
import { type MysqlLocksInternals, makeMysqlLocks } from './mysql-locks.ts'

/** The cases of a suite share a database, whose keys are of each case. */
function harness(server: SqlEndpoint, internals: MysqlLocksInternals, options: object = {}): LockHarness {
  let url: Promise<string> | undefined
  const connect = (uri: string): Pool => createPool({ uri, connectionLimit: 6, ...options })
  const migrated = async () => {
    const database = await server.createDatabase()
    const pool = connect(database.url)
    await makeMysqlLocks(pool, {}, {}).migrate()
    await pool.end()
    return database.url
  }
  return {
    capabilities: {
      fencing: true,
      fifo: true,
      push: true,
      shared: true,
      marks: true,
      grantsPlaces: true,
      durable: true,
    },
    unitMs: 1500,
    model: { runs: 5 },
    async open() {
      url ??= migrated()
      const pools = [connect(await url), connect(await url)] as const
      const [a, b] = pools.map((pool) => makeMysqlLocks(pool, {}, internals))
      if (!a || !b) throw new Error('there are two pools')
      return {
        backends: [a, b],
        async close() {
          await Promise.all([a.close(), b.close()])
          await Promise.all(pools.map((pool) => pool.end()))
        },
      }
    },
  }
}

/** Settings of a pool that change what statements and values mean. */
const ODD = {
  charset: 'latin1_swedish_ci',
  timezone: '+09:00',
  dateStrings: true,
  bigNumberStrings: true,
  supportBigNumbers: true,
  rowsAsArray: true,
  flags: ['-FOUND_ROWS'],
}

for (const engine of ['mariadb', 'mysql'] as const) {
  await describeWith(engine, `locks in ${engine}`, (servers) => {
    registerCases(it.concurrent, lockConformance(harness(servers[engine], {})))
  })
  await describeWith(engine, `locks in ${engine}, every call by the rules`, (servers) => {
    registerCases(it.concurrent, lockConformance(harness(servers[engine], { slowly: true })))
  })
  await describeWith(engine, `locks in ${engine} over an odd pool`, (servers) => {
    registerCases(it.concurrent, lockConformance(harness(servers[engine], {}, ODD)))
  })
}
