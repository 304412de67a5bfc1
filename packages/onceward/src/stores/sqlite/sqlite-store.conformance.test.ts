import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'vitest'
import { openSqlite, type SqliteHandle } from '../../drivers/sqlite/index.ts'
import {
  catalogConformance,
  registerCases,
  type StoreHarness,
  storeConformance,
} from '../../testing/index.ts'
import { manualTime } from '../../testing/manual-time.ts'
import { type SqliteStore, type SqliteStoreOptions, sqliteStore } from './index.ts'

/** How a connection to a file is made. */
type Connect = (path: string, options: SqliteStoreOptions) => Promise<SqliteStore>

function harness(connect: Connect): StoreHarness<SqliteStore> {
  return {
    capabilities: { durable: true, transactional: 'sync', push: true, listing: true, fencing: true },
    async open() {
      const folder = await mkdtemp(join(tmpdir(), 'onceward-sqlite-'))
      // The clock of the store is moved by hand; its poller and its pauses run on real timers.
      const time = manualTime()
      const clock = { now: time.now, monotonic: () => performance.now() }
      const path = join(folder, 'operations.sqlite')
      const stores = [await connect(path, { clock }), await connect(path, { clock })] as const
      return {
        stores: [...stores],
        advance: time.advance,
        async close() {
          for (const store of stores) await store.close()
          for (const store of stores) closeGiven(store.database)
          await rm(folder, { recursive: true, force: true })
        },
      }
    },
  }
}

const byPath =
  (fixed: SqliteStoreOptions = {}): Connect =>
  async (path, options) =>
    sqliteStore(path, { ...options, ...fixed })

const byHandle =
  (open: (path: string) => SqliteHandle): Connect =>
  async (path, options) => {
    const handle = open(path)
    handle.exec('PRAGMA journal_mode = WAL')
    given.add(handle)
    const store = sqliteStore(handle, options)
    await store.migrate()
    return store
  }

const given = new WeakSet<SqliteHandle>()

function closeGiven(handle: SqliteHandle): void {
  if (given.has(handle)) handle.close()
}

/** better-sqlite3 13 stops the whole process on Node.js 20. */
const betterSqlite =
  Number(process.versions.node.split('.')[0]) >= 22 ? (await import('better-sqlite3')).default : undefined

const bindings: readonly (readonly [string, Connect, string?])[] = [
  ['a path', byPath()],
  ['a path, synchronous normal', byPath({ synchronous: 'normal' })],
  ['a given DatabaseSync', byHandle((path) => openSqlite(path))],
  betterSqlite
    ? ['a given better-sqlite3 Database', byHandle((path) => new betterSqlite(path))]
    : ['a given better-sqlite3 Database', byPath(), 'better-sqlite3 needs Node.js 22'],
]

for (const [name, connect, skipped] of bindings) {
  const suite = skipped ? describe.skip : describe
  suite(`the SQLite store on ${name}${skipped ? ` [skipped: ${skipped}]` : ''}`, () => {
    registerCases(it, storeConformance(harness(connect)))
    registerCases(it, catalogConformance(harness(connect)))
  })
}
