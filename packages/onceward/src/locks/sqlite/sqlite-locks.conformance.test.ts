import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'vitest'
import { openSqlite, type SqliteHandle } from '../../drivers/sqlite/index.ts'
import { type LockHarness, lockConformance, registerCases } from '../../testing/index.ts'
import { manualTime } from '../../testing/manual-time.ts'
import { type SqliteLocks, type SqliteLocksOptions, sqliteLocks } from './index.ts'

/** Opens locks on a file, and tells what is to be closed beside them. */
type Connect = (
  path: string,
  options: SqliteLocksOptions,
) => { readonly locks: SqliteLocks; readonly given?: SqliteHandle }

const byPath: Connect = (path, options) => ({ locks: sqliteLocks(path, options) })

const byHandle =
  (open: (path: string) => SqliteHandle): Connect =>
  (path, options) => {
    const given = open(path)
    given.exec('PRAGMA journal_mode = WAL')
    return { locks: sqliteLocks(given, options), given }
  }

function harness(connect: Connect, runs: number): LockHarness {
  return {
    capabilities: {
      fencing: true,
      fifo: true,
      push: true,
      shared: true,
      marks: true,
      grantsPlaces: true,
      durable: true,
    },
    model: { runs },
    async open() {
      const folder = await mkdtemp(join(tmpdir(), 'onceward-locks-'))
      const path = join(folder, 'locks.sqlite')
      // The clock of the locks is moved by hand; pauses and polling run on real time.
      const time = manualTime()
      const clock = { now: time.now, monotonic: () => performance.now() }
      const [a, b] = [connect(path, { clock }), connect(path, { clock })]
      await a.locks.migrate()
      return {
        backends: [a.locks, b.locks],
        advance: time.advance,
        async close() {
          for (const { locks, given } of [a, b]) {
            await locks.close()
            given?.close()
          }
          await rm(folder, { recursive: true, force: true })
        },
      }
    },
  }
}

/** better-sqlite3 13 stops the whole process on Node.js 20. */
const betterSqlite =
  Number(process.versions.node.split('.')[0]) >= 22 ? (await import('better-sqlite3')).default : undefined

describe('locks in SQLite on a path', () => registerCases(it, lockConformance(harness(byPath, 60))))
describe('locks in SQLite on a given DatabaseSync', () =>
  registerCases(it, lockConformance(harness(byHandle(openSqlite), 10))))

if (betterSqlite) {
  describe('locks in SQLite on a given better-sqlite3 Database', () =>
    registerCases(
      it,
      lockConformance(
        harness(
          byHandle((path) => new betterSqlite(path)),
          10,
        ),
      ),
    ))
} else {
  it.skip('locks in SQLite on a given better-sqlite3 Database [skipped: better-sqlite3 needs Node.js 22, where a lane runs it]', () => {})
}
