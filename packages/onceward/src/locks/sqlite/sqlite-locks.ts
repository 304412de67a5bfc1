import { OncewardError } from '../../core/errors.ts'
import { systemClock, systemRandom, systemTimers } from '../../core/system.ts'
import {
  CHANGE_MARK,
  isSqliteHandle,
  keptInPlace,
  migrateSchema,
  openSqlite,
  prepareDatabase,
  type SqliteContext,
  type SqliteHandle,
  sqliteConnection,
  sqliteFailure,
} from '../../drivers/sqlite/index.ts'
import { idleRows } from '../idle-rows.ts'
import type { FencingBackend } from '../lock-backend.ts'
import { inWholeMs, wholeMs } from '../lock-columns.ts'
import type { LockRecord } from '../lock-record.ts'
import { extensionStep, type LockStep } from '../lock-step.ts'
import * as transitions from '../lock-transitions.ts'
import { ruledCalls } from '../ruled-calls.ts'
import { type NamedTurn, named, turnWatch } from '../turn-watch.ts'
import { groupedSteps } from './grouped-steps.ts'
import { lockTable } from './lock-table.ts'
import { checkedOptions, type SqliteLocksOptions } from './sqlite-locks-options.ts'

/** Locks in a SQLite database. */
export type SqliteLocks = FencingBackend & Required<Pick<FencingBackend, 'mark' | 'watch' | 'migrate'>>

/** The pauses between two looks for what other processes wrote, in ms. */
const MIN_PAUSE_MS = 5
const MAX_PAUSE_MS = 50

/**
 * Locks as rows of the table `onceward_locks` of a SQLite file, which several processes on one machine share, or of a database
 * of your own.
 *
 * - A path is opened here, in WAL mode, and closed by `close()`. A given handle stays yours: none of its settings is touched.
 * - What is asked for at the same time is committed together. Where a path was given a commit does not wait for the disk: a
 *   power cut forgets the last grants, and with them it ends whoever held them.
 * - Waiters are served in their order, and woken within 50 ms, also by other processes: they look at SQLite's change counter.
 * - Rows of keys that nobody has used for an hour are forgotten bit by bit, now and then after a grant. A mark and the notes
 *   of forced releases are kept as long as they live.
 *
 * Limit: the file must lie on a local disk; leases count on the clock of this machine. There is no `lockForTransaction`:
 * SQLite has one writer at a time, so `BEGIN IMMEDIATE` is that lock already.
 *
 * @throws `STORE_MISCONFIGURED` (no driver), `STORE_UNAVAILABLE` (cannot open), `STORE_CORRUPT` (not a database). First use:
 * `STORE_READ_ONLY`, `STORE_FULL`, `SCHEMA_MISSING`, `SCHEMA_NEWER`. All with effect none.
 * @example
 * const locks = createLocks(sqliteLocks('locks.sqlite'))
 */
export function sqliteLocks(
  pathOrHandle: string | SqliteHandle,
  options: SqliteLocksOptions = {},
): SqliteLocks {
  const file = checkedPath(pathOrHandle)
  const { busyTimeoutMs } = checkedOptions(options)
  const handle = typeof pathOrHandle === 'string' ? openSqlite(pathOrHandle, options) : pathOrHandle
  const plain = sqliteConnection(handle, file ?? 'of the given handle')
  const connection = file === undefined ? plain : keptInPlace(plain, file)
  const { clock = systemClock, timers = systemTimers, random = systemRandom } = options
  const where = `the SQLite database ${connection.path}`
  let closed = false
  const isClosed = () => closed
  const context: SqliteContext = { connection, clock, timers, random, busyTimeoutMs, isClosed }
  const ready = prepareDatabase(context, {
    opened: file !== undefined,
    autoMigrate: options.autoMigrate ?? file !== undefined,
    ...(file === undefined ? {} : { synchronous: 'normal' }),
  })
  const table = lockTable(connection)
  const steps = groupedSteps(context)
  let seen = ''

  const waiters = turnWatch({
    timers,
    isClosed,
    pauseMs: (looks) => Math.min(MAX_PAUSE_MS, MIN_PAUSE_MS * 1.5 ** looks),
    turnsOf(keys) {
      // What a transaction that is still open on this handle has written may be undone.
      if (connection.inTransaction()) return []
      const mark = `${JSON.stringify(connection.prepare(CHANGE_MARK).get())} ${keys.join(' ')}`
      if (mark === seen) return []
      seen = mark
      return keys.flatMap((key) => turnsIn(table.read(key), clock.now()))
    },
  })
  const granted = idleRows({
    random,
    isClosed,
    walk: (after) => steps.run(() => table.forget(after, clock.now())),
  })

  /** Runs a call; what SQLite throws becomes an error of ours. */
  const call = async <T>(body: () => T | Promise<T>, { anySchema = false } = {}): Promise<T> => {
    try {
      if (closed) throw new OncewardError('CLOSED', `the locks on ${where} were closed; make new ones`)
      if (anySchema) await ready.configure()
      else if (!ready.isReady()) await ready.await()
      return await body()
    } catch (error) {
      throw sqliteFailure(error, connection.path)
    }
  }
  /** Steps of the rules, in one transaction. Those whose turn it may be are told once it is committed. */
  const decideAll = async <Reply>(asked: readonly LockStep<Reply>[]): Promise<readonly Reply[]> => {
    const decided = await steps.run(() =>
      asked.map(({ key, decide }) => {
        const now = clock.now()
        const step = decide(table.read(key), now)
        if (step.record) table.write(key, step.record, now)
        return step
      }),
    )
    for (const { wake } of decided) waiters.wake(named(wake))
    return decided.map(({ reply }) => reply)
  }
  const decide = <Reply>(key: string, step: LockStep<Reply>['decide']): Promise<Reply> =>
    call(async () => (await decideAll([{ key, decide: step }]))[0] as Reply)

  return {
    where,
    capabilities: {
      fencing: true,
      fifo: true,
      push: true,
      shared: true,
      marks: true,
      grantsPlaces: true,
      durable: true,
    },
    minTtlMs: 50,
    drift: 0,
    async acquire(given) {
      const request = inWholeMs(given)
      const reply = await decide(request.key, (found, now) => transitions.acquire(found, request, now))
      if (reply.granted) granted(request.key)
      return reply
    },
    extend: (requests) =>
      call(() =>
        decideAll(requests.map((given) => extensionStep({ ...given, ttlMs: wholeMs(given.ttlMs) }))),
      ),
    release(held, given) {
      const next = given && inWholeMs(given)
      return decide(held.key, (found, now) => transitions.release(found, held, now, next))
    },
    ...ruledCalls(decide),
    inspect: (key) =>
      call(async () => {
        const read = () => table.read(key)
        // What a transaction that is still open on this handle has written may be undone: its end is waited for.
        const found = connection.inTransaction() ? await steps.run(read) : read()
        return found && transitions.view(key, found, clock.now())
      }),
    watch({ key, token }, wake) {
      // What was written before somebody came must not be taken for old.
      seen = ''
      return waiters.watch({ key, name: token }, wake)
    },
    migrate: () => call(() => migrateSchema(context), { anySchema: true }),
    async close() {
      if (closed) return
      closed = true
      waiters.close()
      if (file !== undefined) handle.close()
    },
  }
}

function turnsIn(record: LockRecord | undefined, now: number): readonly NamedTurn[] {
  return record ? named(transitions.turns(record, now)) : []
}

function checkedPath(pathOrHandle: unknown): string | undefined {
  if (typeof pathOrHandle === 'string' && pathOrHandle !== '') return pathOrHandle
  if (isSqliteHandle(pathOrHandle)) return undefined
  throw new TypeError(
    'sqliteLocks needs the path of a file, or an open database: a DatabaseSync of node:sqlite or ' +
      '@photostructure/sqlite, or a better-sqlite3 Database',
  )
}
