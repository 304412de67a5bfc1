import type { BusinessWrite } from './business.ts'
import { factoryOf, type Library } from './library.ts'
import type { AddressOf, OpenedStore } from './store-kinds.ts'

/** The part of a SQLite handle that is used. */
interface Handle {
  exec(sql: string): unknown
  prepare(sql: string): { run(...values: (string | number)[]): unknown }
}

const ROW = 'INSERT INTO faults_rows (scope, op_key, call_id, fence, nonce) VALUES (?, ?, ?, ?, ?)'
const ACCOUNT = 'UPDATE faults_accounts SET amount = amount + 1 WHERE id = ?'

/** The most pages SQLite allows. */
const MOST_PAGES = 1_073_741_823

/** Opens the SQLite store on its own connection, as one process of several. */
export async function openSqliteStore(
  library: Library,
  { file, synchronous }: AddressOf<'sqlite'>,
): Promise<OpenedStore> {
  const sqliteStore = await factoryOf(library, 'sqlite', 'sqliteStore')
  const store = sqliteStore(file, { synchronous, busyTimeoutMs: 1000 })
  const { database } = store as unknown as { readonly database: Handle }
  return {
    store,
    write: (tx: Handle, { scope, key, call, fence, nonce, accounts }: BusinessWrite) => {
      tx.prepare(ROW).run(scope, key, call, fence, nonce)
      for (const account of accounts) tx.prepare(ACCOUNT).run(account)
      return undefined
    },
    // A limit below the size of the file is raised to it: not one page more.
    fill: (full) => void database.exec(`PRAGMA max_page_count = ${full ? 1 : MOST_PAGES}`),
    close: () => store.close(),
  }
}
