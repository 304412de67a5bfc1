import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Backend, type BusinessRow, PROCESS_FAULTS, STORE_MODES } from './backend.ts'
import { BUSINESS_TABLES } from './business.ts'
import { type CataloguedStore, factoryOf, type Library } from './library.ts'

/** The part of a SQLite handle that is used. */
interface Handle {
  exec(sql: string): unknown
  prepare(sql: string): { run(...values: unknown[]): unknown; all(...values: unknown[]): unknown[] }
}

/** A {@link Backend} whose file can be changed while nobody has it open. */
export interface SqliteBackend extends Backend {
  /** Brings all that was written so far into the file itself. */
  checkpoint(): void
  /** Calls `before` with the file while it is open, and what that answers while it is closed. */
  reopen(before: (file: string) => Promise<() => Promise<void>>): Promise<void>
}

/** One file that all workers open; its faults are those of a process and of a disk. */
export async function sqliteBackend(
  library: Library,
  options: { readonly synchronous?: 'full' | 'normal' } = {},
): Promise<SqliteBackend> {
  const { synchronous = 'full' } = options
  const sqliteStore = await factoryOf(library, 'sqlite', 'sqliteStore')
  const folder = await mkdtemp(join(tmpdir(), 'onceward-faults-sqlite-'))
  let generation = 0
  let file = ''
  let store: CataloguedStore
  let database: Handle
  let release: (() => void) | undefined
  const openFile = () => {
    store = sqliteStore(file, { synchronous })
    database = (store as unknown as { readonly database: Handle }).database
  }
  const open = async () => {
    file = join(folder, `${++generation}.sqlite`)
    openFile()
    await store.migrate()
    for (const table of BUSINESS_TABLES) database.exec(table)
  }
  await open()
  return {
    name: 'sqlite',
    drivers: [],
    modes: [...STORE_MODES, 'transaction', 'transaction'],
    faults: [...PROCESS_FAULTS, 'disk-full', 'store-busy'],
    targets: [],
    address: () => ({ kind: 'sqlite', file, synchronous }),
    async prepare(accounts) {
      const insert = database.prepare('INSERT OR IGNORE INTO faults_accounts (id, amount) VALUES (?, 0)')
      for (const account of accounts) await insisting(() => insert.run(account))
    },
    async strike({ kind, forMs }) {
      if (kind !== 'store-busy' || release) return
      // Another program that keeps the write lock.
      await insisting(() => database.exec('BEGIN IMMEDIATE'))
      const timer = setTimeout(() => release?.(), forMs)
      release = () => {
        clearTimeout(timer)
        release = undefined
        database.exec('ROLLBACK')
      }
    },
    checkpoint: () => void database.exec('PRAGMA wal_checkpoint(TRUNCATE)'),
    async reopen(before) {
      const change = await before(file)
      await store.close()
      await change()
      openFile()
    },
    async heal() {
      release?.()
    },
    get store() {
      return store
    },
    rows: async (scopes) => scopes.flatMap((scope) => database.prepare(ROWS).all(scope)) as BusinessRow[],
    sum: async (accounts) =>
      accounts.reduce(
        (total, account) => total + (database.prepare(SUM).all(account) as [{ n: number }])[0].n,
        0,
      ),
    async renew() {
      await store.close()
      const old = file
      await open()
      for (const part of ['', '-wal', '-shm']) await rm(`${old}${part}`, { force: true })
    },
    async stop() {
      release?.()
      await store.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

const ROWS =
  'SELECT scope, op_key AS key, call_id AS call, fence, nonce FROM faults_rows WHERE scope = ? ORDER BY rowid'
const SUM = 'SELECT coalesce(sum(amount), 0) AS n FROM faults_accounts WHERE id = ?'

/** Tries until nobody else has the write lock. */
async function insisting(act: () => unknown): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      act()
      return
    } catch (error) {
      if (tries > 500 || !/locked|busy/.test(String(error))) throw error
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  }
}
