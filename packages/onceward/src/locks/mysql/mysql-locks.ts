import { OncewardError } from '../../core/errors.ts'
import {
  asciiJson,
  type MysqlPool,
  migrateSchema,
  mysqlDriver,
  mysqlFailure,
  ownStatement,
  ownTransaction,
  prepareDatabase,
  promisePool,
  whereOf,
} from '../../drivers/mysql/index.ts'
import { idleRows, ROWS_OF_A_WALK } from '../idle-rows.ts'
import type {
  AcquireReply,
  AcquireRequest,
  ExtendRequest,
  FencingBackend,
  HeldLock,
} from '../lock-backend.ts'
import { inWholeMs, wholeMs } from '../lock-columns.ts'
import { extensionStep, type LockStep } from '../lock-step.ts'
import * as transitions from '../lock-transitions.ts'
import { recentNames } from '../recent-names.ts'
import { ruledCalls } from '../ruled-calls.ts'
import { named, turnWatch } from '../turn-watch.ts'
import { decideLocked, hex, keyHex, readLocks } from './lock-rows.ts'
import { CREATE_TAKEN, DELETE, EXTEND, LOCK_IDLE, RELEASE, TAKE, WALK } from './lock-statements.ts'
import { checkedOptions, type MysqlLocksOptions } from './mysql-locks-options.ts'

/** Locks in a MySQL or MariaDB database. */
export type MysqlLocks = FencingBackend & Required<Pick<FencingBackend, 'mark' | 'watch' | 'migrate'>>

/** The pauses between two looks of those who wait, in ms. */
const MIN_PAUSE_MS = 5
const MAX_PAUSE_MS = 100

/** The most leases that one statement extends: its JSON has to fit into the server's smallest packet. */
const MAX_EXTENDED = 250

/**
 * Locks as rows of the table `onceward_locks` in the database of the pool: MySQL 8.0 or MariaDB 10.6, or later. Any number of
 * processes share it.
 *
 * - `pool` is a pool of `mysql2` or `mysql2/promise`. It stays yours: `close` leaves it open. A call takes one connection for
 *   a moment.
 * - Taking, extending and releasing a lock that nobody else wants is one statement each (two for a key that another process
 *   has used first). Whatever concerns several (waiters, readers, permits, marks) is decided in a short transaction under the
 *   lock of the row. No `GET_LOCK`: a lock survives its connection.
 * - Waiters are served in their order. The server cannot wake them: while somebody waits, one statement for the whole process
 *   looks whose turn it is, every 5 ms at first and every 100 ms in the end. Leases count on the server's clock.
 * - Rows of keys that nobody has used for an hour are forgotten bit by bit, now and then after a grant. A mark and the notes
 *   of forced releases are kept as long as they live.
 *
 * Limit: all of it must go to one primary. A failover to a replica that lags behind may lose the last grants, and two may then
 * hold one lock: give the fence to the resource. Fences keep increasing across it as long as the clock of the server does.
 *
 * @throws `TypeError` for anything but a pool. First use: `STORE_UNAVAILABLE`, `STORE_READ_ONLY`, `SCHEMA_MISSING`,
 * `SCHEMA_NEWER`, all with effect none.
 * @example
 * const locks = createLocks(mysqlLocks(mysql.createPool('mysql://app:secret@localhost/shop')))
 */
export function mysqlLocks(pool: MysqlPool, options: MysqlLocksOptions = {}): MysqlLocks {
  return makeMysqlLocks(pool, options, {})
}

/** What only tests set. */
export interface MysqlLocksInternals {
  /** Lets the rules decide on every call, so that both ways are held to them. Default false. */
  readonly slowly?: boolean
}

/** {@link mysqlLocks} with what only tests set. */
export function makeMysqlLocks(
  given: MysqlPool,
  options: MysqlLocksOptions,
  { slowly = false }: MysqlLocksInternals,
): MysqlLocks {
  const pool = promisePool(given, 'mysqlLocks')
  const { autoMigrate, queryTimeoutMs, timers, random } = checkedOptions(options)
  const where = whereOf(pool)
  const parts = { driver: mysqlDriver({ pool, where, timers, queryTimeoutMs }), timers, random }
  const ready = prepareDatabase(parts, autoMigrate)
  /** Keys that have rows, and tokens that have places. */
  const known = recentNames()
  const placed = recentNames()
  let closed = false

  const call = async <T>(body: () => Promise<T>, { anySchema = false } = {}): Promise<T> => {
    if (closed) throw new OncewardError('CLOSED', `the locks on ${where} were closed; make new ones`)
    if (!anySchema && !ready.isReady()) await ready.await()
    try {
      return await body()
    } catch (error) {
      throw mysqlFailure(error, where)
    }
  }
  const run = (text: string, values: readonly (string | number | null)[]) =>
    ownStatement(parts, (session) => session.query(text, values))
  /** Decides under the locks of the rows, and wakes those of this process whose turn it is. */
  const decideAll = async (steps: readonly LockStep[]): Promise<readonly unknown[]> => {
    const { replies, wake } = await ownTransaction(parts, (session) => decideLocked(session, steps, where))
    waiters.wake(named(wake))
    return replies
  }
  const decide = async <Reply>(key: string, step: LockStep<Reply>['decide']): Promise<Reply> =>
    (await decideAll([{ key, decide: step }]))[0] as Reply
  const read = (keys: readonly string[]) => ownStatement(parts, (session) => readLocks(session, keys, where))

  const waiters = turnWatch({
    timers,
    isClosed: () => closed,
    pauseMs: (looks) => Math.min(MAX_PAUSE_MS, MIN_PAUSE_MS * 1.5 ** looks),
    async turnsOf(keys) {
      const found = await read(keys.map(keyHex))
      return [...found.values()].flatMap(({ record, now }) => named(transitions.turns(record, now)))
    },
  })
  const granted = idleRows({
    random,
    isClosed: () => closed,
    async walk(after) {
      const { rows } = await run(WALK, [after])
      const idle = rows.filter((row) => Number(row['idle']) === 1).map((row) => String(row['k']))
      if (idle.length > 0) {
        await ownTransaction(parts, async (session) => {
          const locked = await session.query(LOCK_IDLE, [asciiJson(idle)])
          const keys = locked.rows.map((row) => String(row['k']))
          if (keys.length > 0) await session.query(DELETE, [asciiJson(keys)])
        })
      }
      const last = rows.at(-1)?.['k']
      return rows.length < ROWS_OF_A_WALK ? undefined : String(last)
    },
  })

  /** Nothing where the rules have to decide. */
  const acquireAlone = async (request: AcquireRequest): Promise<AcquireReply | undefined> => {
    const { key, token, ttlMs, owner, meta, placeMs, fences = 1 } = request
    const at = keyHex(key)
    const about = meta === undefined ? null : hex(meta)
    const values = [fences, fences, ttlMs, hex(token), hex(owner), about, at]
    // A key that this process has used has a row, and one that it has not used mostly has none.
    for (const statement of known.has(key) ? [TAKE] : [CREATE_TAKEN, TAKE]) {
      const { affected, insertId } = await run(statement, values)
      known.add(key)
      if (affected > 0) return { granted: true, fence: insertId }
    }
    const found = (await read([at])).get(at)
    if (!found) {
      known.delete(key)
      return undefined
    }
    const { record, now } = found
    const [holder, ...others] = record.holders
    const isAlone = holder?.mode === 'exclusive' && others.length === 0 && record.queue.length === 0
    if (!isAlone || placeMs !== undefined || holder.token === token || holder.until <= now) return undefined
    return { granted: false, retryAfterMs: holder.until - now }
  }
  const acquire = async (request: AcquireRequest): Promise<AcquireReply> => {
    const mayBeAlone = request.mode === 'exclusive' && !slowly && !placed.has(request.token)
    const alone = mayBeAlone ? await acquireAlone(request) : undefined
    const reply =
      alone ?? (await decide(request.key, (found, now) => transitions.acquire(found, request, now)))
    // As hexadecimal digits: keys of transactions are no text.
    if (reply.granted) granted(keyHex(request.key))
    if (!reply.granted && request.placeMs !== undefined) placed.add(request.token)
    else placed.delete(request.token)
    return reply
  }

  /** Whose grants have been moved by one statement, and on whom the rules have to decide. */
  const extendAlone = async (
    requests: readonly ExtendRequest[],
  ): Promise<(request: ExtendRequest) => 'extended' | 'ask' | 'lost'> => {
    const rows = requests
      .map(({ key, token, ttlMs, meta }) => [
        keyHex(key),
        hex(token),
        ttlMs,
        meta === undefined ? null : hex(meta),
      ])
      .sort(([a], [b]) => (String(a) < String(b) ? -1 : 1))
    const { affected } = await run(EXTEND, [asciiJson(rows)])
    if (affected === requests.length) return () => 'extended'
    const found = await read([...new Set(rows.map(([key]) => String(key)))])
    return ({ key, token }) => {
      const at = found.get(keyHex(key))
      const holder = at?.record.holders.find((one) => one.token === token)
      if (!at || !holder || holder.until <= at.now) return 'lost'
      return holder.mode === 'exclusive' ? 'extended' : 'ask'
    }
  }
  const extend = async (requests: readonly ExtendRequest[]): Promise<readonly boolean[]> => {
    const outcomeOf = slowly ? () => 'ask' as const : await extendAlone(requests)
    const asked = requests.filter((request) => outcomeOf(request) === 'ask')
    const replies = asked.length === 0 ? [] : await decideAll(asked.map(extensionStep))
    const decided = new Map(asked.map((request, index) => [request, replies[index]]))
    return requests.map((request) => outcomeOf(request) === 'extended' || decided.get(request) === true)
  }
  /** Nothing where the rules have to decide. */
  const releaseAlone = async ({ key, token }: HeldLock): Promise<boolean | undefined> => {
    const at = keyHex(key)
    if ((await run(RELEASE, [at, hex(token)])).affected > 0) return true
    const found = (await read([at])).get(at)
    if (!found) return false
    const { holders, queue } = found.record
    const has = [...holders, ...queue].some((one) => one.token === token && one.until > found.now)
    return has ? undefined : false
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
      call(async () => {
        const whole = requests.map((one) => ({ ...one, ttlMs: wholeMs(one.ttlMs) }))
        const replies: boolean[] = []
        for (let from = 0; from < whole.length; from += MAX_EXTENDED) {
          replies.push(...(await extend(whole.slice(from, from + MAX_EXTENDED))))
        }
        return replies
      }),
    release: (held, next) =>
      call(async () => {
        const alone = next === undefined && !slowly ? await releaseAlone(held) : undefined
        if (alone !== undefined) return { released: alone }
        const asked = next && inWholeMs(next)
        return decide(held.key, (found, now) => transitions.release(found, held, now, asked))
      }),
    ...ruledCalls((key, step) => call(() => decide(key, step))),
    inspect: (key) =>
      call(async () => {
        const found = (await read([keyHex(key)])).get(keyHex(key))
        return found && transitions.view(key, found.record, found.now)
      }),
    migrate: () => call(() => migrateSchema(parts), { anySchema: true }),
    watch: ({ key, token }, wake) => waiters.watch({ key, name: token }, wake),
    async close() {
      closed = true
      waiters.close()
    },
  }
}
