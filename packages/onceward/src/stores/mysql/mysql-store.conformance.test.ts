import { createPool as createCallbackPool } from 'mysql2'
import { createPool } from 'mysql2/promise'
import { it } from 'vitest'
import { describeWith } from '../../../../../test-servers/index.mjs'
import type { MysqlPool } from '../../drivers/mysql/index.ts'
import {
  catalogConformance,
  registerCases,
  storeConformance,
  type TransactionHarness,
  transactionConformance,
} from '../../testing/index.ts'
import { type MysqlStore, mysqlStoreOf } from './mysql-store.ts'

/** The handle that a transaction of the store hands to its body. */
interface Tx {
  execute(sql: string, values: readonly string[]): Promise<unknown>
}

type OpenPool = (url: string) => { readonly pool: MysqlPool; end(): Promise<void> }

const promisePool: OpenPool = (uri) => {
  const pool = createPool({ uri, connectionLimit: 30 })
  return { pool, end: () => pool.end() }
}

/** Every option that changes how values come back, and a character set that holds few of them. */
const oddPool: OpenPool = (uri) => {
  const pool = createCallbackPool({
    uri,
    connectionLimit: 30,
    charset: 'latin1_swedish_ci',
    supportBigNumbers: true,
    bigNumberStrings: true,
    dateStrings: true,
    decimalNumbers: true,
    rowsAsArray: true,
    nestTables: '_',
    namedPlaceholders: true,
    timezone: '+05:30',
    flags: ['-FOUND_ROWS'],
    typeCast: (field, next) => `odd ${field.name} ${String(next())}`,
  })
  pool.on('connection', (connection) => {
    connection.query("SET time_zone = '-03:00'")
    connection.query("SET SESSION sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT,IGNORE_SPACE'")
    connection.query('SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE')
  })
  return { pool: pool as unknown as MysqlPool, end: () => pool.promise().end() }
}

for (const server of ['mariadb', 'mysql'] as const) {
  await describeWith(server, `the MySQL store on ${server}`, (servers) => {
    const harness = (
      open: OpenPool,
      fast: boolean,
      runs: number,
    ): TransactionHarness<MysqlStore<Tx>, Tx> => ({
      capabilities: { durable: true, transactional: 'async', push: true, listing: true, fencing: true },
      patienceMs: 15_000,
      model: { runs },
      async open() {
        const database = await servers[server].createDatabase()
        const [a, b] = [open(database.url), open(database.url)]
        const stores = [
          mysqlStoreOf<Tx>(a.pool, {}, { fast }),
          mysqlStoreOf<Tx>(b.pool, {}, { fast }),
        ] as const
        await stores[0].migrate()
        const other = createPool({ uri: database.url, connectionLimit: 2 })
        await other.query('CREATE TABLE business (text VARCHAR(100)) ENGINE = InnoDB')
        return {
          stores,
          insert: async (tx, text) => void (await tx.execute('INSERT INTO business VALUES (?)', [text])),
          rows: async () => {
            const [rows] = await other.query({ sql: 'SELECT text FROM business', rowsAsArray: true })
            return (rows as string[][]).map(([text]) => text ?? '')
          },
          outside: () => other as unknown as Tx,
          async close() {
            for (const store of stores) await store.close()
            await Promise.all([a.end(), b.end(), other.end()])
            await database.drop()
          },
        }
      },
    })
    const suites = (name: string, bound: TransactionHarness<MysqlStore<Tx>, Tx>) => {
      const register = Object.assign(
        (rule: string, run: () => Promise<void>, timeoutMs?: number) =>
          it(`${name}: ${rule}`, run, timeoutMs),
        { skip: (rule: string, run: () => Promise<void>) => it.skip(`${name}: ${rule}`, run) },
      )
      registerCases(register, storeConformance(bound))
      registerCases(register, catalogConformance(bound))
      registerCases(register, transactionConformance(bound))
    }
    suites('a promise pool', harness(promisePool, true, 10))
    suites('a callback pool with odd settings', harness(oddPool, true, 3))
    suites('without the fast paths', harness(promisePool, false, 3))
  })
}
