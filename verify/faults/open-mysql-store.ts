import type { BusinessWrite } from './business.ts'
import { factoryOf, type Library } from './library.ts'
import type { AddressOf, OpenedStore } from './store-kinds.ts'

const ROW = 'INSERT INTO faults_rows (scope, op_key, call_id, fence, nonce) VALUES (?, ?, ?, ?, ?)'
const ACCOUNT = 'UPDATE faults_accounts SET amount = amount + 1 WHERE id = ?'

/** The part of a transaction's handle that is used. */
interface Connection {
  query(sql: string, values: (string | number)[]): Promise<unknown>
}

/** Opens the store for MySQL and MariaDB. */
export async function openMysqlStore(library: Library, address: AddressOf<'mysql'>): Promise<OpenedStore> {
  const mysqlStore = await factoryOf(library, 'mysql', 'mysqlStore')
  const { createPool } = await import('mysql2/promise')
  const { url, timeoutMs } = address
  const pool = createPool({ uri: url, connectionLimit: 4, connectTimeout: timeoutMs })
  const store = mysqlStore(pool, { queryTimeoutMs: timeoutMs, lockTimeoutMs: timeoutMs })
  return {
    store,
    write: async (tx: Connection, { scope, key, call, fence, nonce, accounts }: BusinessWrite) => {
      await tx.query(ROW, [scope, key, call, fence, nonce])
      for (const account of accounts) await tx.query(ACCOUNT, [account])
    },
    async close() {
      await store.close()
      // A connection that is still in use would be waited for.
      await Promise.race([pool.end(), new Promise((resolve) => setTimeout(resolve, 500))])
    },
  }
}
