import { isOncewardError } from '../../core/errors.ts'
import { purgeBoth } from '../../core/purge-both.ts'
import type { SeenItems } from '../../core/seen-items.ts'
import type { OperationCatalog, OperationStore, StoreCapabilities } from '../../core/store.ts'
import { systemClock, systemRandom, systemTimers } from '../../core/system.ts'
import { type Atomically, transitionMethods } from '../../core/transition-port.ts'
import { isExpired } from '../../core/transitions.ts'
import {
  closedError,
  isSqliteHandle,
  keptInPlace,
  migrateSchema,
  openSqlite,
  type PendingMigration,
  pendingMigrations,
  prepareDatabase,
  type SqliteHandle,
  sqliteConnection,
  sqliteFailure,
} from '../../drivers/sqlite/index.ts'
import { changeWatch } from './change-watch.ts'
import { copyOfStep, takenIn } from './copy-of-record.ts'
import { groupCommit } from './group-commit.ts'
import { recordTable } from './record-table.ts'
import { sqliteCatalog } from './sqlite-catalog.ts'
import { doctorFindings } from './sqlite-doctor.ts'
import { sqliteSeen } from './sqlite-seen.ts'
import { checkedOptions, type SqliteStoreOptions } from './sqlite-store-options.ts'
import type { StoreContext } from './store-context.ts'
import { type SyncTransactions, storeTransactions } from './store-transactions.ts'

/** A {@link sqliteStore}. `Tx` is the type of the database handle. */
export interface SqliteStore<Tx extends SqliteHandle = SqliteHandle>
  extends OperationStore,
    OperationCatalog,
    SyncTransactions<Tx> {
  watch(...args: Parameters<NonNullable<OperationStore['watch']>>): Promise<void>
  /** The migrations that are not applied yet, with their SQL. */
  plan(): Promise<readonly PendingMigration[]>
  /** The connection of the store, which `transaction` hands to its body. Do not close it. */
  readonly database: Tx
}

const CAPABILITIES: StoreCapabilities = {
  durable: true,
  transactional: 'sync',
  push: true,
  listing: true,
  fencing: true,
}

/**
 * Remembers operations in a SQLite file, which several processes on one machine may share, or in the tables
 * `onceward_…` of a database of your own.
 *
 * - A path is opened here, in WAL mode, and closed by `close()`. A given handle stays yours: its journal mode is not
 *   touched and it stays open. Give one that nothing else leaves a transaction open on.
 * - Concurrent transitions are committed together, and each is answered once its commit is safe (see `synchronous`).
 * - A file that is deleted or replaced while it is open is refused (`STORE_CORRUPT`): nobody else would see what is written.
 * - The driver is synchronous: `transaction` takes a body that returns without awaiting.
 *
 * Limit: the file must lie on a local disk; network file systems do not keep SQLite's locks. `:memory:` is not durable.
 *
 * @throws `STORE_MISCONFIGURED` (no driver), `STORE_UNAVAILABLE` (cannot open), `STORE_CORRUPT` (not a database). First use:
 * `STORE_READ_ONLY`, `STORE_FULL`, `SCHEMA_MISSING`, `SCHEMA_NEWER`. All with effect none.
 * @example
 * const once = createOnce({ store: sqliteStore('operations.sqlite'), scope: 'payments' })
 */
export function sqliteStore<Tx extends SqliteHandle = SqliteHandle>(
  pathOrHandle: string | Tx,
  options: SqliteStoreOptions = {},
): SqliteStore<Tx> {
  const file = checkedPath(pathOrHandle)
  const { synchronous, busyTimeoutMs, maxBatch } = checkedOptions(options)
  const handle = typeof pathOrHandle === 'string' ? openSqlite(pathOrHandle, options) : pathOrHandle
  const plain = sqliteConnection(handle, file ?? 'of the given handle')
  const connection = file === undefined ? plain : keptInPlace(plain, file)
  let closed = false
  const context: StoreContext = {
    connection,
    clock: options.clock ?? systemClock,
    timers: options.timers ?? systemTimers,
    random: options.random ?? systemRandom,
    busyTimeoutMs,
    maxBatch,
    isClosed: () => closed,
  }
  const waiters = changeWatch(context)
  const group = groupCommit(context, waiters.wake)
  const autoMigrate = options.autoMigrate ?? file !== undefined
  const ready = prepareDatabase(context, {
    opened: file !== undefined,
    autoMigrate,
    synchronous,
  })
  const atomically: Atomically = (digest, step) =>
    ready.isReady() || closed
      ? group.submit(digest, step)
      : ready.await().then(() => group.submit(digest, step))
  const transitions = transitionMethods(atomically)
  const table = recordTable(connection)
  /** Runs a call of the catalog; what SQLite throws becomes an error of ours. */
  const call = async <T>(
    body: () => T | Promise<T>,
    options?: { readonly anySchema?: boolean },
  ): Promise<T> => {
    try {
      if (closed) throw closedError(context)
      if (options?.anySchema) await ready.configure()
      else if (!ready.isReady()) await ready.await()
      return await body()
    } catch (error) {
      throw sqliteFailure(error, connection.path)
    }
  }
  const catalog = sqliteCatalog(context, waiters.wake)
  const seen: SeenItems = sqliteSeen(context, call)

  return {
    capabilities: CAPABILITIES,
    database: handle as Tx,
    ...transitions,
    // What was given may be changed by the caller before the commit comes.
    complete: (claim, outcome, retentionMs) => transitions.complete(claim, takenIn(outcome), retentionMs),
    checkpoint: (claim, step) => transitions.checkpoint(claim, copyOfStep(step)),
    // Reading needs no lock, unless rows of an open transaction on this handle could be seen.
    get: (id) =>
      call(() => {
        if (connection.inTransaction()) return transitions.get(id)
        const found = table.read([id.digest]).get(id.digest)
        if (found && 'fault' in found) throw found.fault
        return found && !isExpired(found.record, context.clock.now()) ? found.record : undefined
      }),
    watch: (id, signal) => waiters.watch(id.digest, signal),
    ...storeTransactions<Tx>({ context, ready: ready.await, onEnded: waiters.wake }),
    list: (query) => call(() => catalog.list(query)),
    find: (digest) => call(() => catalog.find(digest)),
    sweep: (limit) => call(() => catalog.sweep(limit)),
    purge: purgeBoth((limit) => call(() => catalog.purge(limit)), seen),
    seen,
    stats: () => call(() => catalog.stats()),
    audit: (query) => call(() => catalog.audit(query)),
    migrate: () => call(() => migrateSchema(context), { anySchema: true }),
    plan: () => call(() => pendingMigrations(connection), { anySchema: true }),
    doctor: () =>
      call(() => doctorFindings(context, { file, autoMigrate }), { anySchema: true }).catch((error) => {
        // So damaged that the file cannot even be opened.
        if (!isOncewardError(error) || error.code !== 'STORE_CORRUPT') throw error
        return [{ check: 'integrity', level: 'fail', message: error.message }]
      }),
    async close() {
      if (closed) return
      if (ready.isReady()) group.close()
      closed = true
      waiters.close()
      if (file !== undefined) handle.close()
    },
  }
}

function checkedPath(pathOrHandle: unknown): string | undefined {
  if (typeof pathOrHandle === 'string' && pathOrHandle !== '') return pathOrHandle
  if (isSqliteHandle(pathOrHandle)) return undefined
  throw new TypeError(
    'sqliteStore needs the path of a file, or an open database: a DatabaseSync of node:sqlite or ' +
      '@photostructure/sqlite, or a better-sqlite3 Database',
  )
}
