import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'vitest'
import { openSqlite, type SqliteHandle } from '../../drivers/sqlite/index.ts'
import {
  catalogConformance,
  type OpenedTransactionalStore,
  registerCases,
  type StoreHarness,
  storeConformance,
  type TransactionHarness,
  transactionConformance,
} from '../../testing/index.ts'
import { type MemoryStore, memoryStore } from '../memory/index.ts'
import { type SqliteStore, sqliteStore } from '../sqlite/index.ts'
import { type EncryptedStoreOptions, encryptedStore } from './index.ts'

const [one, two] = [
  { id: 'k1', key: Buffer.alloc(32, 1) },
  { id: 'k2', key: Buffer.alloc(32, 2) },
]

/** How the two connections of the suite are set: the same way, or each on its side of a change. */
interface Settings {
  readonly name: string
  readonly a: EncryptedStoreOptions
  readonly b: EncryptedStoreOptions
  readonly skip?: Readonly<Record<string, string>>
}

const SHORT_REASONS = {
  'reasons, failures and notes are ordinary text too, and are clipped to 500 characters':
    'sealed reasons are cut to 300 bytes; sealed-values.test.ts has the case',
}

const SETTINGS: readonly Settings[] = [
  { name: 'one key', a: { keys: [one] }, b: { keys: [one] }, skip: SHORT_REASONS },
  {
    name: 'reasons in plain text',
    a: { keys: [one], plainReasons: true },
    b: { keys: [one], plainReasons: true },
  },
  {
    name: 'one before and one after a change of keys',
    a: { keys: [one, two] },
    b: { keys: [two, one] },
    skip: SHORT_REASONS,
  },
  {
    name: 'one that does not seal yet and one that does',
    a: { keys: [one], acceptPlain: true, writePlain: true },
    b: { keys: [one], acceptPlain: true },
    skip: SHORT_REASONS,
  },
]

function overMemory({ a, b }: Settings): StoreHarness<MemoryStore> {
  return {
    capabilities: memoryStore().capabilities,
    model: { runs: 60 },
    async open() {
      let now = Date.UTC(2026, 0, 1)
      const store = memoryStore({ clock: { now: () => now, monotonic: () => now } })
      return {
        stores: [encryptedStore(store, a), encryptedStore(store, b)],
        advance: (ms) => {
          now += ms
        },
        close: () => store.close(),
      }
    },
  }
}

function overSqlite({ a, b }: Settings): TransactionHarness<SqliteStore, SqliteHandle> {
  return {
    capabilities: { durable: true, transactional: 'sync', push: true, listing: true, fencing: true },
    model: { runs: 5 },
    async open(): Promise<OpenedTransactionalStore<SqliteStore, SqliteHandle>> {
      const folder = await mkdtemp(join(tmpdir(), 'onceward-encrypted-'))
      const path = join(folder, 'operations.sqlite')
      let now = Date.UTC(2026, 0, 1)
      const clock = { now: () => now, monotonic: () => performance.now() }
      const connect = (options: EncryptedStoreOptions) =>
        encryptedStore(sqliteStore(path, { clock, synchronous: 'normal' }), options)
      const stores = [connect(a), connect(b)] as const
      await stores[0].migrate()
      const other = openSqlite(path)
      other.exec('CREATE TABLE business (text TEXT)')
      return {
        stores,
        advance: (ms) => {
          now += ms
        },
        insert: (tx, text) => void tx.prepare('INSERT INTO business VALUES (?)').run(text),
        rows: async () =>
          (other.prepare('SELECT text FROM business').all() as { text: string }[]).map((row) => row.text),
        outside: () => other,
        async close() {
          for (const store of stores) await store.close()
          other.close()
          await rm(folder, { recursive: true, force: true })
        },
      }
    },
  }
}

for (const settings of SETTINGS) {
  const skip = settings.skip ? { skip: settings.skip } : {}
  describe(`the encrypted store over memory, ${settings.name}`, () => {
    const harness = overMemory(settings)
    registerCases(it, storeConformance({ ...harness, ...skip }))
    registerCases(it, catalogConformance(harness))
  })
  describe(`the encrypted store over SQLite, ${settings.name}`, () => {
    const harness = overSqlite(settings)
    registerCases(it, storeConformance({ ...harness, ...skip }))
    registerCases(it, catalogConformance(harness))
    registerCases(it, transactionConformance(harness))
  })
}
