import type { BusinessWrite, WriteBusiness } from './business.ts'
import { factoryOf, type Library } from './library.ts'
import type { AddressOf, OpenedStore } from './store-kinds.ts'

const ROW = 'INSERT INTO faults_rows (scope, op_key, call_id, fence, nonce) VALUES ($1, $2, $3, $4, $5)'
const ACCOUNT = 'UPDATE faults_accounts SET amount = amount + 1 WHERE id = $1'

/** Enough for a few batches and transactions; a connection is a process of the server, and dear. */
const POOL = 4

/** The part of a transaction's handle that is used, of either driver. */
type Run = (sql: string, values: (string | number)[]) => Promise<unknown>

/** Opens the PostgreSQL store over one of its drivers. */
export async function openPostgresStore(
  library: Library,
  address: AddressOf<'postgres'>,
): Promise<OpenedStore> {
  const postgresStore = await factoryOf(library, 'postgres', 'postgresStore')
  const { url, timeoutMs, serializable } = address
  const isolation = serializable ? 'serializable' : 'read committed'
  const options = { queryTimeoutMs: timeoutMs, lockTimeoutMs: timeoutMs }
  if (address.client === 'postgres') {
    const { default: postgres } = await import('postgres')
    const sql = postgres(url, {
      max: POOL,
      connect_timeout: 2,
      // A connection that is lost while the package asks for types would end the process.
      fetch_types: false,
      onnotice: () => {},
      backoff: () => 0.03,
      connection: { default_transaction_isolation: isolation },
    })
    const store = postgresStore(sql, options)
    return {
      store,
      write: writing((tx: { readonly unsafe: Run }) => (text, values) => tx.unsafe(text, values)),
      async close() {
        await store.close()
        await sql.end({ timeout: 0 })
      },
    }
  }
  const { default: pg } = await import('pg')
  const pool = new pg.Pool({
    connectionString: url,
    max: POOL,
    connectionTimeoutMillis: timeoutMs,
    options: `-c default_transaction_isolation=${isolation.replace(' ', '\\ ')}`,
  })
  pool.on('error', () => {})
  const store = postgresStore(pool, options)
  return {
    store,
    write: writing((tx: { readonly query: Run }) => (text, values) => tx.query(text, values)),
    async close() {
      await store.close()
      // A connection that is still in use would be waited for.
      await Promise.race([pool.end(), new Promise((resolve) => setTimeout(resolve, 500))])
    },
  }
}

function writing<Tx>(runOn: (tx: Tx) => Run): WriteBusiness {
  return async (tx: never, { scope, key, call, fence, nonce, accounts }: BusinessWrite) => {
    const run = runOn(tx)
    await run(ROW, [scope, key, call, fence, nonce])
    for (const account of accounts) await run(ACCOUNT, [account])
  }
}
