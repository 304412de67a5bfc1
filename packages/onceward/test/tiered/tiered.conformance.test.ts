import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'vitest'
import type { StoreCapabilities } from '../../src/core/store.ts'
import { openSqlite, type SqliteHandle } from '../../src/drivers/sqlite/index.ts'
import { memoryStore } from '../../src/stores/memory/index.ts'
import { type SqliteStore, sqliteStore } from '../../src/stores/sqlite/index.ts'
import { memoryCache, tieredStore } from '../../src/stores/tiered/index.ts'
import {
  catalogConformance,
  registerCases,
  type StoreHarness,
  storeConformance,
  type TransactionHarness,
  transactionConformance,
} from '../../src/testing/index.ts'
import { manualTime } from '../../src/testing/manual-time.ts'
import { type Lies, lyingCache, NO_LIES } from './lying-cache.ts'

/** Two tiered stores over one memory store, with a cache that tells these lies. */
function overMemory(lies: Lies): StoreHarness<ReturnType<typeof tieredMemory>> {
  return {
    capabilities: memoryStore().capabilities,
    async open() {
      const time = manualTime()
      const clock = { now: time.now, monotonic: time.monotonic }
      const cache = lyingCache(memoryCache({ clock }), lies)
      const store = memoryStore({ clock })
      return {
        stores: [tieredMemory(store, cache, clock), tieredMemory(store, cache, clock)],
        advance: time.advance,
        close: () => store.close(),
      }
    },
  }
}

function tieredMemory(
  store: ReturnType<typeof memoryStore>,
  cache: ReturnType<typeof memoryCache>,
  clock: { now(): number; monotonic(): number },
) {
  return tieredStore({ store, cache, clock, cacheTimeoutMs: 20, retryAfterMs: 5, maxSkewMs: 0 })
}

const ON_SQLITE: StoreCapabilities = {
  durable: true,
  transactional: 'sync',
  push: true,
  listing: true,
  fencing: true,
}

function overSqlite(lies: Lies): TransactionHarness<SqliteStore, SqliteHandle> {
  return {
    capabilities: ON_SQLITE,
    model: { runs: 40, seed: 773658217 },
    async open() {
      const folder = await mkdtemp(join(tmpdir(), 'onceward-tiered-'))
      const path = join(folder, 'operations.sqlite')
      const time = manualTime()
      const clock = { now: time.now, monotonic: time.monotonic }
      const cache = lyingCache(memoryCache({ clock }), lies)
      const connect = () =>
        tieredStore({
          store: sqliteStore(path, { clock: { now: time.now, monotonic: () => performance.now() } }),
          cache,
          clock,
          maxSkewMs: 0,
        })
      const [a, b] = [connect(), connect()]
      await a.migrate()
      const other = openSqlite(path)
      other.exec('CREATE TABLE business (text TEXT)')
      return {
        stores: [a, b],
        advance: time.advance,
        insert: (tx, text) => void tx.prepare('INSERT INTO business VALUES (?)').run(text),
        rows: async () =>
          (other.prepare('SELECT text FROM business').all() as { text: string }[]).map((row) => row.text),
        outside: () => other,
        async close() {
          await Promise.all([a.close(), b.close()])
          other.close()
          await rm(folder, { recursive: true, force: true })
        },
      }
    },
  }
}

function suite(name: string, lies: Lies): void {
  describe(`a tiered store over memory, ${name}`, () => {
    registerCases(it, storeConformance(overMemory(lies)))
    registerCases(it, catalogConformance(overMemory(lies)))
  })
  describe(`a tiered store over SQLite, ${name}`, () => {
    registerCases(it, storeConformance(overSqlite(lies)))
    registerCases(it, catalogConformance(overSqlite(lies)))
    registerCases(it, transactionConformance(overSqlite(lies)))
  })
}

suite('with an honest cache', NO_LIES)
suite('with a cache that forgets, garbles, mixes up and repeats itself', {
  ...NO_LIES,
  forgets: 0.3,
  garbles: 0.3,
  mixesUp: 0.3,
  repeats: 0.3,
})
suite('with a cache that fails, hangs and answers nonsense', {
  ...NO_LIES,
  fails: 0.3,
  hangs: 0.05,
  talksNonsense: 0.3,
  wakesAnyway: 0.2,
})
