import { purgeBoth } from '../../core/purge-both.ts'
import type {
  OperationCatalog,
  OperationStore,
  StoreCapabilities,
  TransactionalStore,
} from '../../core/store.ts'
import { assertDecidable, transitionMethods } from '../../core/transition-port.ts'
import {
  migrateSchema,
  type PendingMigration,
  type PostgresPool,
  pendingAfter,
  pgDriver,
  pgFailure,
  prepareDatabase,
  serverFacts,
} from '../../drivers/pg/index.ts'
import { copyOfOutcome, copyOfStep } from '../../drivers/sql/index.ts'
import { changeWatch } from './change-watch.ts'
import { claimCalls } from './claim-calls.ts'
import { lockedCalls } from './locked-calls.ts'
import { completionCalls, renewalCalls } from './owner-calls.ts'
import { postgresCatalog } from './postgres-catalog.ts'
import { doctorFindings } from './postgres-doctor.ts'
import { postgresSeen } from './postgres-seen.ts'
import { checkedOptions, type PostgresStoreOptions } from './postgres-store-options.ts'
import { readCalls } from './read-calls.ts'
import { statementsOf } from './statements.ts'
import { closedError, type StoreContext } from './store-context.ts'
import { storeTransactions } from './store-transactions.ts'
import { wholeMs, wholeRequest } from './whole-request.ts'

/** A {@link postgresStore}. `Tx` is the transaction handle of the driver, or of the package the caller writes with. */
export interface PostgresStore<Tx = unknown>
  extends OperationStore,
    OperationCatalog,
    TransactionalStore<Tx> {
  watch(...args: Parameters<NonNullable<OperationStore['watch']>>): Promise<void>
  /** The migrations that `migrate` would apply, with all that they run. Changes nothing. */
  plan(): Promise<readonly PendingMigration[]>
}

const CAPABILITIES: StoreCapabilities = {
  durable: true,
  transactional: 'async',
  push: true,
  listing: true,
  fencing: true,
}

/** What only tests set. */
export interface PostgresStoreInternals {
  /** Sends every call the slow way, so that both ways are held to the same rules. Default false. */
  readonly slowly?: boolean
}

/**
 * Remembers operations in the tables `onceward_…` of a PostgreSQL database (12 or later), which any number of processes
 * share.
 *
 * - `pool` is a `Pool` of `pg` or a root `sql` of `postgres`. It stays yours: `close` leaves it open. The store uses up to
 *   `maxInFlight` connections of it for each kind of call, and one more of its own while somebody waits (`listen`).
 * - Calls of concurrent callers are sent together in one statement; a lone call is sent at once.
 * - Leases count on the server's clock, and every statement runs under READ COMMITTED whatever the default is.
 * - It keeps no state on a connection: PgBouncer in transaction mode may stand between.
 *
 * Limit: an answer is as durable as the server's commit. `synchronous_commit = off`, or a failover to an asynchronous
 * replica, may lose the last answered operations, which can then run again.
 *
 * @throws `TypeError` for anything but a pool. First use: `STORE_UNAVAILABLE`, `STORE_READ_ONLY`, `STORE_FULL`,
 * `SCHEMA_MISSING`, `SCHEMA_NEWER`, all with effect none.
 * @example
 * const store = postgresStore(new pg.Pool({ connectionString: process.env.DATABASE_URL }))
 * const once = createOnce({ store, scope: 'payments' })
 */
export function postgresStore<Tx = unknown>(
  pool: PostgresPool,
  options: PostgresStoreOptions = {},
): PostgresStore<Tx> {
  return makePostgresStore(pool, options, {})
}

/** {@link postgresStore} with what only tests set. */
export function makePostgresStore<Tx>(
  pool: PostgresPool,
  options: PostgresStoreOptions,
  { slowly = false }: PostgresStoreInternals,
): PostgresStore<Tx> {
  const settings = checkedOptions(options)
  const driver = pgDriver(pool, settings)
  const ready = prepareDatabase({ driver, settings }, settings.autoMigrate)
  const { listen } = settings
  const listener = listen === true ? driver : listen === false ? undefined : pgDriver(listen, settings)
  let closed = false
  const context: StoreContext = {
    driver,
    listener,
    settings,
    statements: statementsOf(settings.schema),
    load: { inFlight: 0 },
    ready: ready.await,
    run: ready.run,
    isClosed: () => closed,
  }
  const waiters = changeWatch(context)
  const locked = lockedCalls(context, waiters.ended)
  const transitions = transitionMethods(locked.submit)
  const claims = claimCalls(context, locked, slowly)
  const completions = completionCalls(context, locked, waiters.ended)
  const renewals = renewalCalls(context)
  const reads = readCalls(context)
  /** Runs a call of the catalog; what the server refuses becomes an error of ours. */
  const call = async <T>(body: () => Promise<T>, { anySchema = false } = {}): Promise<T> => {
    try {
      if (closed) throw closedError(context)
      if (!anySchema) await ready.await()
      return await body()
    } catch (error) {
      throw pgFailure(error, driver.where)
    }
  }
  const catalog = postgresCatalog(context, waiters.ended)
  const seen = postgresSeen(context, call)

  return {
    capabilities: CAPABILITIES,
    ...transitions,
    claim: (request) => claims.call(request.id.digest, wholeRequest(request)),
    renew: (claim, leaseMs) =>
      slowly
        ? transitions.renew(claim, wholeMs(leaseMs))
        : renewals.call(claim.id.digest, { claim, leaseMs: wholeMs(leaseMs) }),
    // What was given may be changed by the caller before the batch is sent.
    complete(claim, given, retentionMs) {
      const outcome = copyOfOutcome(given)
      return slowly
        ? transitions.complete(claim, outcome, wholeMs(retentionMs))
        : completions.call(claim.id.digest, { claim, outcome, retentionMs: wholeMs(retentionMs) })
    },
    checkpoint: (claim, step) => transitions.checkpoint(claim, copyOfStep(step)),
    get: (id) => (slowly ? transitions.get(id) : reads.call(id.digest, undefined)),
    takeTurn: (id, turn) => transitions.takeTurn(id, { ...turn, quietMs: wholeMs(turn.quietMs) }),
    async resolve(id, resolution) {
      assertDecidable(resolution.actor, resolution.reason)
      const { retentionMs } = resolution
      return transitions.resolve(
        id,
        retentionMs === undefined ? resolution : { ...resolution, retentionMs: wholeMs(retentionMs) },
      )
    },
    watch: (id, signal) => waiters.watch(id.digest, signal),
    ...storeTransactions<Tx>({ context, onEnded: waiters.ended }),
    list: (query) => call(() => catalog.list(query)),
    find: (digest) => call(() => catalog.find(digest)),
    sweep: (limit) => call(() => catalog.sweep(limit)),
    purge: purgeBoth((limit) => call(() => catalog.purge(limit)), seen),
    seen,
    stats: () => call(() => catalog.stats()),
    audit: (query) => call(() => catalog.audit(query)),
    migrate: () => call(() => migrateSchema(context), { anySchema: true }),
    plan: () =>
      call(
        async () =>
          pendingAfter((await serverFacts(driver.run, settings.schema)).schemaVersion, settings.schema),
        { anySchema: true },
      ),
    doctor: () => call(() => doctorFindings(context, waiters.pushed()), { anySchema: true }),
    async close() {
      if (closed) return
      closed = true
      await Promise.all([waiters.close(), claims, completions, renewals, reads, locked].map(idle))
    },
  }
}

function idle(one: Promise<void> | { idle(): Promise<void> }): Promise<void> {
  return 'idle' in one ? one.idle() : one
}
