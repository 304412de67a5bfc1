import { OncewardError } from '../../core/errors.ts'
import { purgeBoth } from '../../core/purge-both.ts'
import type {
  ClaimRequest,
  OperationCatalog,
  OperationStore,
  StoreCapabilities,
  TransactionalStore,
} from '../../core/store.ts'
import { type Atomically, transitionMethods } from '../../core/transition-port.ts'
import {
  asciiJson,
  foundSchema,
  type MysqlPool,
  migrateSchema,
  mysqlDriver,
  mysqlFailure,
  ownStatement,
  ownTransaction,
  pendingMigrations,
  prepareDatabase,
  promisePool,
  whereOf,
} from '../../drivers/mysql/index.ts'
import { copyOfOutcome, copyOfStep, lockedBatches, type Mark, pollWatch } from '../../drivers/sql/index.ts'
import { claimCalls } from './claim-calls.ts'
import { mysqlCatalog } from './mysql-catalog.ts'
import { doctorFindings } from './mysql-doctor.ts'
import { mysqlSeen } from './mysql-seen.ts'
import { checkedOptions, type MysqlStoreOptions } from './mysql-store-options.ts'
import { ownerCalls } from './owner-calls.ts'
import { readCalls } from './read-calls.ts'
import { READ_MARKS } from './record-statements.ts'
import { recordTable } from './record-table.ts'
import type { StoreContext } from './store-context.ts'
import { storeTransactions } from './store-transactions.ts'

/** A {@link mysqlStore}. `Tx` is the type of the handles of transactions. */
export interface MysqlStore<Tx = unknown> extends OperationStore, OperationCatalog, TransactionalStore<Tx> {
  watch(...args: Parameters<NonNullable<OperationStore['watch']>>): Promise<void>
  /** The migrations that `migrate()` would apply, with their text. Changes nothing. */
  plan(): Promise<readonly { readonly name: string; readonly sql: string }[]>
}

const CAPABILITIES: StoreCapabilities = {
  durable: true,
  transactional: 'async',
  push: true,
  listing: true,
  fencing: true,
}

/**
 * Remembers operations in MySQL 8.0 or MariaDB 10.6, or later: in the tables `onceward_…` of the database of the pool,
 * which any number of processes may share.
 *
 * - The pool stays yours: `close()` leaves it open. Up to `maxInFlight` connections a kind of call are used at once.
 * - Calls of concurrent callers are sent in few statements; time is the server's. Nothing of a connection's character
 *   set, time zone, sql_mode or isolation level, nor the pool's options on types, makes a difference.
 * - `transaction` hands its body a connection of `mysql2/promise`; `within` takes transactions of query builders and
 *   ORMs too.
 *
 * Limit: all of it must go to one primary. A failover to a replica that lags behind forgets what it had not received.
 *
 * @throws `TypeError` for anything but a pool. First use: `STORE_UNAVAILABLE`, `STORE_READ_ONLY`, `STORE_FULL`,
 * `SCHEMA_MISSING`, `SCHEMA_NEWER`, all with effect none.
 * @example
 * const pool = mysql.createPool('mysql://app:secret@localhost/shop')
 * const once = createOnce({ store: mysqlStore(pool), scope: 'payments' })
 */
export function mysqlStore<Tx = unknown>(pool: MysqlPool, options: MysqlStoreOptions = {}): MysqlStore<Tx> {
  return mysqlStoreOf(pool, options, { fast: true })
}

/**
 * The same, with a choice that only tests make: without the fast paths every call runs the exact rules under locks.
 *
 * @internal
 */
export function mysqlStoreOf<Tx>(
  given: MysqlPool,
  options: MysqlStoreOptions,
  paths: { readonly fast: boolean },
): MysqlStore<Tx> {
  const pool = promisePool(given)
  const settings = checkedOptions(options)
  const { clock, timers, random, queryTimeoutMs } = settings
  const where = whereOf(pool)
  const driver = mysqlDriver({ pool, where, timers, queryTimeoutMs })
  const parts = { driver, timers, random }
  const ready = prepareDatabase(parts, settings.autoMigrate)
  const table = recordTable(where, ready.maxPacket)
  let closed = false
  const context: StoreContext = {
    ...parts,
    table,
    clock,
    queryTimeoutMs,
    lockTimeoutMs: settings.lockTimeoutMs,
    maxBatch: settings.maxBatch,
    maxInFlight: settings.maxInFlight,
    maxPacket: ready.maxPacket,
    onChanged: (digest) => waiters.wake(digest),
    isClosed: () => closed,
  }
  const waiters = pollWatch({
    clock,
    timers,
    isClosed: () => closed,
    async marksOf(digests) {
      const { rows } = await ownStatement(context, (session) =>
        session.query(READ_MARKS, [asciiJson(digests)]),
      )
      return new Map(rows.map((row) => [String(row['digest']), markOf(row)]))
    },
  })
  const batches = lockedBatches({
    maxBatch: settings.maxBatch,
    maxInFlight: settings.maxInFlight,
    transaction: (body) => ownTransaction(context, (session) => body(table.locked(session))),
    onCommitted(changes) {
      for (const { after } of changes) if (after.state !== 'running') waiters.wake(after.id.digest)
    },
  })
  const reads = readCalls(context)

  /** Runs a call once the store is ready; what the driver throws becomes an error of ours. */
  const call = async <T>(body: () => T | Promise<T>, anySchema = false): Promise<T> => {
    if (closed) throw new OncewardError('CLOSED', `the store on ${where} was closed; make a new one`)
    if (!anySchema && !ready.isReady()) await ready.await()
    try {
      return await body()
    } catch (error) {
      throw mysqlFailure(error, where)
    }
  }
  const exactly: Atomically = (digest, step) => call(() => batches.submit(digest, step))
  const exact = transitionMethods(exactly)
  const claims = claimCalls(context, batches.submit)
  const owners = ownerCalls(context, batches.submit)
  const catalog = mysqlCatalog(context)
  const seen = mysqlSeen(context, call)
  const transactions = storeTransactions<Tx>(context, () => call(() => {}))

  return {
    capabilities: CAPABILITIES,
    ...exact,
    claim(request) {
      const asked = inWholeMs(request)
      return paths.fast ? call(() => claims(asked)) : exact.claim(asked)
    },
    renew: (claim, leaseMs) =>
      paths.fast ? call(() => owners.renew(claim, wholeMs(leaseMs))) : exact.renew(claim, wholeMs(leaseMs)),
    // What was given may be changed by the caller before it is sent.
    checkpoint: (claim, step) => exact.checkpoint(claim, copyOfStep(step)),
    complete(claim, outcome, retentionMs) {
      const copy = copyOfOutcome(outcome)
      const kept = wholeMs(retentionMs)
      return paths.fast ? call(() => owners.complete(claim, copy, kept)) : exact.complete(claim, copy, kept)
    },
    takeTurn: (id, turn) => exact.takeTurn(id, { ...turn, quietMs: wholeMs(turn.quietMs) }),
    resolve: (id, { retentionMs, ...resolution }) =>
      exact.resolve(
        id,
        retentionMs === undefined ? resolution : { ...resolution, retentionMs: wholeMs(retentionMs) },
      ),
    get: (id) => call(() => reads.call(id.digest, undefined)),
    watch: (id, signal) => waiters.watch(id.digest, signal),
    ...transactions,
    claimIn: (tx, request) => transactions.claimIn(tx, inWholeMs(request)),
    completeIn: (tx, claim, outcome, retentionMs) =>
      transactions.completeIn(tx, claim, copyOfOutcome(outcome), wholeMs(retentionMs)),
    list: (query) => call(() => catalog.list(query)),
    find: (digest) => call(() => catalog.find(digest)),
    sweep: (limit) => call(() => catalog.sweep(limit)),
    purge: purgeBoth((limit) => call(() => catalog.purge(limit)), seen),
    seen,
    stats: () => call(() => catalog.stats()),
    audit: (query) => call(() => catalog.audit(query)),
    migrate: () => call(() => migrateSchema(parts), true),
    plan: () =>
      call(() => ownStatement(parts, async (session) => pendingMigrations(await foundSchema(session))), true),
    doctor: () => call(() => doctorFindings(context), true),
    async close() {
      closed = true
      waiters.close()
    },
  }
}

/** The longest time that is stored, in ms: about 30,000 years. */
const MAX_MS = 1e15

/** Times are stored in whole ms; a lease or a retention is never shorter than asked for. */
function wholeMs(ms: number): number {
  return Math.min(MAX_MS, Math.ceil(ms))
}

function inWholeMs(request: ClaimRequest): ClaimRequest {
  return { ...request, leaseMs: wholeMs(request.leaseMs), retentionMs: wholeMs(request.retentionMs) }
}

function markOf(row: Readonly<Record<string, unknown>>): Mark {
  const state = String(row['state'])
  return {
    open: state === 'running' || state === 'held',
    mark: `${state} ${String(row['fence'])}`,
    changedMsAgo: Number(row['changed_ms_ago']),
  }
}
