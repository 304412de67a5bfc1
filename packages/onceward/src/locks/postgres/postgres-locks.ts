import { OncewardError } from '../../core/errors.ts'
import {
  CommitFailed,
  migrateSchema,
  notifications,
  ownTransaction,
  type PgAnswer,
  type PgStatement,
  type PgValue,
  type PostgresPool,
  pgDriver,
  pgFailure,
  plainArray,
  prepareDatabase,
  textArray,
  whileInConflict,
} from '../../drivers/pg/index.ts'
import { columnText } from '../../drivers/sql/index.ts'
import { idleRows, ROWS_OF_A_WALK } from '../idle-rows.ts'
import type {
  AcquireReply,
  AcquireRequest,
  ExtendRequest,
  FencingBackend,
  HeldLock,
} from '../lock-backend.ts'
import { inWholeMs, markOf, wholeMs } from '../lock-columns.ts'
import { extensionStep, type LockStep } from '../lock-step.ts'
import * as transitions from '../lock-transitions.ts'
import { recentNames } from '../recent-names.ts'
import { ruledCalls } from '../ruled-calls.ts'
import { turnWatch } from '../turn-watch.ts'
import { decideLocked, keyText, readLock } from './lock-rows.ts'
import { lockStatements } from './lock-statements.ts'
import { checkedOptions, type PostgresLocksOptions } from './postgres-locks-options.ts'
import { nameOf, proven, readTurn, toldTurn, writeTurn } from './told-turns.ts'

/** Locks in a PostgreSQL database. */
export type PostgresLocks = FencingBackend & Required<Pick<FencingBackend, 'mark' | 'watch' | 'migrate'>>

/** How long the lock of a row is waited for at most, in ms. Only short transactions of ours hold one. */
const LOCK_TIMEOUT_MS = 5000

/** The pauses between two looks of those who wait, in ms: where nobody is told, and where it is only for safety. */
const MIN_PAUSE_MS = 5
const MAX_PAUSE_MS = 250
const TOLD_PAUSE_MS = 2000

/**
 * Locks as rows of the table `onceward_locks` of a PostgreSQL database (12 or later), which any number of processes share.
 *
 * - `pool` is a `Pool` of `pg` or a root `sql` of `postgres`. It stays yours: `close` leaves it open. A call takes one
 *   connection for a moment; one more listens while somebody waits (`listen`).
 * - Taking, extending and releasing a lock that nobody else wants is one statement each. Whatever concerns several (waiters,
 *   readers, permits) is decided in a short transaction under the lock of the row.
 * - No session lock, and no state on a connection: PgBouncer in transaction mode may stand between.
 * - Waiters are served in their order; the first is woken by a notification. Leases count on the server's clock.
 * - Rows of keys that nobody has used for an hour are forgotten bit by bit, now and then after a grant. A mark and the notes
 *   of forced releases are kept as long as they live.
 *
 * Limit: a failover to an asynchronous replica may lose the last grants, and two may then hold one lock: give the fence to
 * the resource. Fences keep increasing across it as long as the clock of the server does.
 *
 * @throws `TypeError` for anything but a pool. First use: `STORE_UNAVAILABLE`, `STORE_READ_ONLY`, `SCHEMA_MISSING`,
 * `SCHEMA_NEWER`, all with effect none.
 * @example
 * const locks = createLocks(postgresLocks(new pg.Pool({ connectionString: process.env.DATABASE_URL })))
 */
export function postgresLocks(pool: PostgresPool, options: PostgresLocksOptions = {}): PostgresLocks {
  return makePostgresLocks(pool, options, {})
}

/** What only tests set. */
export interface PostgresLocksInternals {
  /** Lets the rules decide on every call, so that both ways are held to them. Default false. */
  readonly slowly?: boolean
}

/** {@link postgresLocks} with what only tests set. */
export function makePostgresLocks(
  pool: PostgresPool,
  options: PostgresLocksOptions,
  { slowly = false }: PostgresLocksInternals,
): PostgresLocks {
  const settings = checkedOptions(options)
  const { schema, listen, random, timers, queryTimeoutMs } = settings
  const about = { ...settings, user: 'postgresLocks' }
  const driver = pgDriver(pool, about)
  const listener = listen === true ? driver : listen === false ? undefined : pgDriver(listen, about)
  const ready = prepareDatabase({ driver, settings }, settings.autoMigrate)
  const statements = lockStatements(schema)
  const lockTimeoutMs = Math.max(1, Math.floor(Math.min(LOCK_TIMEOUT_MS, queryTimeoutMs / 2)))
  const { where } = driver
  /** Tokens that have places. */
  const placed = recentNames()
  let closed = false
  const isClosed = () => closed

  const push = notifications(
    { listener, channel: `onceward_locks_${schema}`, run: ready.run, settings },
    (word) => waiters.wake([readTurn(word)]),
  )
  const waiters = turnWatch({
    timers,
    isClosed,
    pauseMs: (looks) => (push.works() ? TOLD_PAUSE_MS : Math.min(MAX_PAUSE_MS, MIN_PAUSE_MS * 1.5 ** looks)),
    async turnsOf(keys) {
      const { rows } = await ready.run(statements.read, [textArray(keys.map(keyText))])
      return rows.flatMap(([, now, found]) =>
        transitions.turns(readLock(found ?? '', where), Number(now)).map(toldTurn),
      )
    },
    onNeeded: push.needed,
    onUnneeded: push.unneeded,
  })
  const granted = idleRows({
    random,
    isClosed,
    async walk(after) {
      const { rows } = await ready.run(statements.forget, [keyText(after), String(ROWS_OF_A_WALK)])
      const [last, count] = rows[0] ?? []
      return Number(count) < ROWS_OF_A_WALK ? undefined : (last ?? undefined)
    },
  })

  /** Runs a call; what the server refuses becomes an error of ours. */
  const call = async <T>(body: () => Promise<T>, { anySchema = false } = {}): Promise<T> => {
    try {
      if (closed) throw new OncewardError('CLOSED', `the locks on ${where} were closed; make new ones`)
      if (!anySchema) await ready.await()
      return await body()
    } catch (error) {
      throw pgFailure(error instanceof CommitFailed ? error.cause : error, where)
    }
  }
  /** Runs a statement that commits by itself. */
  const run = (statement: PgStatement, values: readonly PgValue[]): Promise<PgAnswer> =>
    whileInConflict({ settings }, () => ready.run(statement, values))
  /** Decides under the locks of the rows, and tells those whose turn it is. */
  const decideAll = async (steps: readonly LockStep[]): Promise<readonly unknown[]> => {
    const { replies, wake } = await ownTransaction({ driver, settings }, (tx) =>
      decideLocked({ run: tx.run, statements, lockTimeoutMs, where }, steps),
    )
    push.tell(waiters.wake(wake.map(toldTurn)).map(writeTurn))
    return replies
  }
  const decide = async <Reply>(key: string, step: LockStep<Reply>['decide']): Promise<Reply> =>
    (await decideAll([{ key, decide: step }]))[0] as Reply

  /** Nothing where the rules have to decide. */
  const acquireAlone = async (request: AcquireRequest): Promise<AcquireReply | undefined> => {
    const { key, token, ttlMs, owner, meta, placeMs, fences = 1 } = request
    const { rows } = await run(statements.acquire, [
      String(lockTimeoutMs),
      keyText(key),
      token,
      String(ttlMs),
      columnText(owner),
      meta === undefined ? null : columnText(meta),
      String(fences),
    ])
    const [outcome, fence, now, remaining, kept = null] = rows[0] ?? []
    if (outcome === 'granted') {
      const mark = markOf(kept, Number(now), where)
      return { granted: true, fence: Number(fence), ...(mark === undefined ? {} : { mark }) }
    }
    if (outcome !== 'held' || placeMs !== undefined) return undefined
    return { granted: false, retryAfterMs: Math.max(1, Number(remaining)) }
  }
  const acquire = async (request: AcquireRequest): Promise<AcquireReply> => {
    const mayBeAlone = request.mode === 'exclusive' && !slowly && !placed.has(request.token)
    const alone = mayBeAlone ? await acquireAlone(request) : undefined
    const reply =
      alone ?? (await decide(request.key, (found, now) => transitions.acquire(found, request, now)))
    if (reply.granted) granted(request.key)
    if (!reply.granted && request.placeMs !== undefined) placed.add(request.token)
    else placed.delete(request.token)
    return reply
  }
  /** What became of each by one statement: `extended`, or `ask` where the rules have to decide. */
  const extendAlone = async (requests: readonly ExtendRequest[]): Promise<ReadonlyMap<string, string>> => {
    const sorted = requests.map((request) => ({ ...request, key: keyText(request.key) })).sort(byKey)
    const { rows } = await run(statements.extend, [
      String(lockTimeoutMs),
      textArray(sorted.map(({ key }) => key)),
      textArray(sorted.map(({ token }) => token)),
      plainArray(sorted.map(({ ttlMs }) => ttlMs)),
      textArray(sorted.map(({ meta }) => (meta === undefined ? null : columnText(meta)))),
    ])
    return new Map(rows.map(([key, token, outcome]) => [`${token} ${key}`, outcome ?? '']))
  }
  const extend = async (requests: readonly ExtendRequest[]): Promise<readonly boolean[]> => {
    const outcomes = slowly ? undefined : await extendAlone(requests)
    const outcomeOf = ({ key, token }: HeldLock) =>
      outcomes ? outcomes.get(`${token} ${keyText(key)}`) : 'ask'
    const asked = requests.filter((request) => outcomeOf(request) === 'ask')
    const replies = asked.length === 0 ? [] : await decideAll(asked.map(extensionStep))
    const decided = new Map(asked.map((request, index) => [request, replies[index]]))
    return requests.map((request) => outcomeOf(request) === 'extended' || decided.get(request) === true)
  }

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
    minTtlMs: 100,
    drift: 0.001,
    acquire: (request) => call(() => acquire(inWholeMs(request))),
    extend: (requests) =>
      requests.length === 0
        ? Promise.resolve([])
        : call(() => extend(requests.map((one) => ({ ...one, ttlMs: wholeMs(one.ttlMs) })))),
    release: (held, next) =>
      call(async () => {
        if (next === undefined && !slowly) {
          const values = [String(lockTimeoutMs), keyText(held.key), held.token]
          const outcome = (await run(statements.release, values)).rows[0]?.[0]
          if (outcome !== 'ask') return { released: outcome === 'released' }
        }
        const asked = next && inWholeMs(next)
        return decide(held.key, (found, now) => transitions.release(found, held, now, asked))
      }),
    ...ruledCalls((key, step) => call(() => decide(key, step))),
    inspect: (key) =>
      call(async () => {
        const { rows } = await run(statements.read, [textArray([keyText(key)])])
        const [row] = rows
        return row && transitions.view(key, readLock(row[2] ?? '', where), Number(row[1]))
      }),
    watch: ({ key, token }, wake) =>
      waiters.watch({ key, name: nameOf(token) }, (granted) => wake(proven(token, granted))),
    migrate: () => call(() => migrateSchema({ driver, settings }), { anySchema: true }),
    async close() {
      if (closed) return
      closed = true
      waiters.close()
      await push.close()
    },
  }
}

/** In this order all batches lock their rows. */
function byKey(a: HeldLock, b: HeldLock): number {
  return a.key < b.key ? -1 : a.key > b.key ? 1 : 0
}
