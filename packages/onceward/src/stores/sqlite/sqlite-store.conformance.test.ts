import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'vitest'
import { openSqlite, type SqliteHandle } from '../../drivers/sqlite/index.ts'
import {
  catalogConformance,
  type OpenedTransactionalStore,
  registerCases,
  storeConformance,
  type TransactionHarness,
  transactionConformance,
} from '../../testing/index.ts'
import { manualTime } from '../../testing/manual-time.ts'
import { type SqliteStore, type SqliteStoreOptions, sqliteStore } from './index.ts'

/** Makes a store on a file, and tells what is to be closed beside it. */
type Connect = (
  path: string,
  options: SqliteStoreOptions,
) => { readonly store: SqliteStore; readonly given?: SqliteHandle }

const byPath =
  (fixed: SqliteStoreOptions = {}): Connect =>
  (path, options) => ({ store: sqliteStore(path, { ...options, ...fixed }) })

const byHandle =
  (open: (path: string) => SqliteHandle): Connect =>
  (path, options) => {
    const given = open(path)
    given.exec('PRAGMA journal_mode = WAL')
    return { store: sqliteStore(given, options), given }
  }

function harness(connect: Connect, modelRuns: number): TransactionHarness<SqliteStore, SqliteHandle> {
  return {
    capabilities: { durable: true, transactional: 'sync', push: true, listing: true, fencing: true },
    model: { runs: modelRuns },
    abilities: ['endByHand'],
    async open(): Promise<OpenedTransactionalStore<SqliteStore, SqliteHandle>> {
      const folder = await mkdtemp(join(tmpdir(), 'onceward-sqlite-'))
      const path = join(folder, 'operations.sqlite')
      // The clock of the records is moved by hand; pauses and polling run on real time.
      const time = manualTime()
      const clock = { now: time.now, monotonic: () => performance.now() }
      const [a, b] = [connect(path, { clock }), connect(path, { clock })]
      await a.store.migrate()
      const other = openSqlite(path)
      other.exec('CREATE TABLE business (text TEXT)')
      return {
        stores: [a.store, b.store],
        advance: time.advance,
        insert: (tx, text) => void tx.prepare('INSERT INTO business VALUES (?)').run(text),
        rows: async () =>
          (other.prepare('SELECT text FROM business').all() as { text: string }[]).map((row) => row.text),
        outside: () => other,
        endByHand: (tx, how) => void tx.exec(how),
        async close() {
          for (const { store, given } of [a, b]) {
            await store.close()
            given?.close()
          }
          other.close()
          await rm(folder, { recursive: true, force: true })
        },
      }
    },
  }
}

/** better-sqlite3 13 stops the whole process on Node.js 20. */
const betterSqlite =
  Number(process.versions.node.split('.')[0]) >= 22 ? (await import('better-sqlite3')).default : undefined

function suite(name: string, connect: Connect, modelRuns: number): void {
  describe(`the SQLite store on ${name}`, () => {
    const bound = harness(connect, modelRuns)
    registerCases(it, storeConformance(bound))
    registerCases(it, catalogConformance(bound))
    registerCases(it, transactionConformance(bound))
  })
}

suite('a path', byPath(), 60)
suite('a path, synchronous normal', byPath({ synchronous: 'normal' }), 10)
suite(
  'a given DatabaseSync',
  byHandle((path) => openSqlite(path)),
  10,
)

if (betterSqlite) {
  suite(
    'a given better-sqlite3 Database',
    byHandle((path) => new betterSqlite(path)),
    10,
  )
} else {
  it.skip('the SQLite store on a given better-sqlite3 Database [skipped: better-sqlite3 needs Node.js 22, where a lane runs it]', () => {})
}
