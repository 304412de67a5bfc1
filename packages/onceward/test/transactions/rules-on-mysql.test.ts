import { createPool, type PoolConnection } from 'mysql2/promise'
import { it } from 'vitest'
import { describeWith } from '../../../../test-servers/index.mjs'
import type { MysqlPool } from '../../src/drivers/mysql/index.ts'
import { type MysqlStore, mysqlStore } from '../../src/stores/mysql/index.ts'
import { registerCases, type TransactionHarness, transactionConformance } from '../../src/testing/index.ts'

type Tx = PoolConnection

for (const server of ['mariadb', 'mysql'] as const) {
  await describeWith(server, `the rules of transactions on ${server}`, (servers) => {
    const harness: TransactionHarness<MysqlStore<Tx>, Tx> = {
      capabilities: { durable: true, transactional: 'async', push: true, listing: true, fencing: true },
      unitMs: 150,
      patienceMs: 15_000,
      abilities: ['kill', 'endByHand', 'fail', 'begin', 'conflict'],
      async open() {
        const database = await servers[server].createDatabase()
        const connect = () => createPool({ uri: database.url, connectionLimit: 10 })
        const pools = [connect(), connect()] as const
        const other = connect()
        const stores = [storeOn(pools[0]), storeOn(pools[1])] as const
        await stores[0].migrate()
        await other.query('CREATE TABLE business (text VARCHAR(100)) ENGINE = InnoDB')
        const idle = await other.getConnection()
        return {
          stores,
          insert: async (tx, text) => void (await tx.query('INSERT INTO business VALUES (?)', [text])),
          rows: async () => {
            const [rows] = await other.query('SELECT text FROM business')
            return (rows as { text: string }[]).map(({ text }) => text)
          },
          outside: () => idle,
          kill: async (tx) => void (await other.query(`KILL ${connectionId(tx)}`)),
          endByHand: async (tx, how) => void (await tx.query(how)),
          fail: async (tx) => void (await tx.query('SELECT nothing FROM nowhere')),
          async begin(isolation) {
            const tx = await other.getConnection()
            await tx.query(`SET TRANSACTION ISOLATION LEVEL ${isolation}`)
            await tx.query('START TRANSACTION')
            const end = (how: string) => async () => {
              await tx.query(how)
              tx.release()
            }
            return { tx, commit: end('COMMIT'), rollback: end('ROLLBACK') }
          },
          conflict: () => Object.assign(new Error('Deadlock found'), { errno: 1213, sqlState: '40001' }),
          async close() {
            for (const store of stores) await store.close()
            idle.release()
            await Promise.all([...pools, other].map((pool) => pool.end()))
            await database.drop()
          },
        }
      },
    }
    registerCases(it, transactionConformance(harness))
  })
}

function storeOn(pool: ReturnType<typeof createPool>): MysqlStore<Tx> {
  return mysqlStore<Tx>(pool as unknown as MysqlPool)
}

function connectionId(tx: Tx): number {
  return Number(tx.threadId)
}
