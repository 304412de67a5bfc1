import { pause } from '../../core/pause.ts'
import { assertSchema, migrateSchema, SCHEMA_VERSION, schemaVersion } from './schema.ts'
import type { SqliteContext } from './sqlite-context.ts'
import { busyError, isBusy, sqliteFailure } from './sqlite-errors.ts'
import { lockedError, pauseMs } from './write-lock.ts'

/** How a database is brought up. */
export interface PrepareOptions {
  /** Whether we have opened the file ourselves, so that its journal mode is ours to choose. */
  readonly opened: boolean
  readonly autoMigrate: boolean
  /** When a commit counts as safe; absent: as it is. */
  readonly synchronous?: 'full' | 'normal'
}

/** The first use of a database. */
export interface PreparedDatabase {
  isReady(): boolean
  /** Sets the connection up and sees to the schema. A failure is tried again by the next caller. */
  await(): Promise<void>
  /** Sets the connection up, whatever the schema. */
  configure(): Promise<void>
}

const FULL = 2

/** Brings a database up, once, however many callers come at the same time. */
export function prepareDatabase(context: SqliteContext, options: PrepareOptions): PreparedDatabase {
  const { connection } = context
  let ready = false
  const configure = onceAtATime(async () => {
    const { synchronous } = options
    const steps = synchronous === undefined ? [] : [() => setSynchronous(context, synchronous)]
    // Changes the file, and cannot be had while others use it: tried until they are gone.
    if (options.opened) steps.unshift(() => void connection.value('PRAGMA journal_mode = WAL'))
    // In KiB. Digests are random, so their index is best kept in memory as a whole.
    if (options.opened) steps.push(() => connection.exec('PRAGMA cache_size = -16384'))
    // In pages (16 MiB). With many records each claim changes another page of that index, and copying the log into the
    // file costs a write for each; a longer log holds more changes of one page.
    if (options.opened) steps.push(() => connection.exec('PRAGMA wal_autocheckpoint = 4096'))
    await whileBusy(context, () => {
      for (const step of steps) step()
    })
  })
  const prepare = onceAtATime(async () => {
    try {
      await configure()
      const outdated = await whileBusy(context, () => schemaVersion(connection) < SCHEMA_VERSION)
      if (outdated && options.autoMigrate) await migrateSchema(context)
      await whileBusy(context, () => assertSchema(connection))
      ready = true
    } catch (error) {
      throw sqliteFailure(error, connection.path)
    }
  })
  return { isReady: () => ready, await: prepare, configure }
}

/** Repeats what other connections hinder, between pauses in which the event loop goes on. */
async function whileBusy<T>(context: SqliteContext, body: () => T): Promise<T> {
  const { clock } = context
  const giveUpAt = clock.monotonic() + context.busyTimeoutMs
  for (let attempt = 0; ; attempt++) {
    try {
      return body()
    } catch (error) {
      if (!isBusy(error)) throw error
      if (clock.monotonic() >= giveUpAt) throw lockedError(context)
    }
    await pause(context, pauseMs(context, attempt))
  }
}

/**
 * Sets the level even where it seems to be set: a level that was never named falls to the driver's own default for WAL
 * (often NORMAL) as soon as the log is first used. `full` leaves a safer level of a given handle as it is.
 */
function setSynchronous({ connection }: SqliteContext, wanted: 'full' | 'normal'): void {
  if (wanted === 'full' && Number(connection.value('PRAGMA synchronous')) > FULL) return
  // SQLite refuses to change the level inside a transaction.
  if (connection.inTransaction()) throw busyError('a transaction is open')
  connection.exec(wanted === 'full' ? 'PRAGMA synchronous = FULL' : 'PRAGMA synchronous = NORMAL')
}

/** Lets concurrent callers share one run; a run that succeeded is the last. */
function onceAtATime(run: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined
  return () => {
    running ??= run().catch((error: unknown) => {
      running = undefined
      throw error
    })
    return running
  }
}
