import { OncewardError } from '../../core/errors.ts'
import { jittered } from '../../core/jittered.ts'
import { pause } from '../../core/pause.ts'
import { isConflict, type PgDriver, type PgTransaction, type Run } from '../../drivers/pg/index.ts'
import type { Load } from '../../drivers/sql/index.ts'
import type { Settings } from './postgres-store-options.ts'
import type { Statements } from './statements.ts'

/** What the parts of one store share. */
export interface StoreContext {
  readonly driver: PgDriver
  /** What waiters are woken by; absent where they only poll. */
  readonly listener: PgDriver | undefined
  readonly settings: Settings
  readonly statements: Statements
  /** Brings the store up before its first statement. */
  ready(): Promise<void>
  isClosed(): boolean
  /** What is on its way to the server, of every kind. */
  readonly load: Load
  /** Runs one statement by itself under READ COMMITTED. */
  readonly run: Run
}

/** How often a transaction of the store itself is tried that others have undone. */
const MAX_TRIES = 8

/** The longest pause before another try, in ms. */
const MAX_PAUSE_MS = 100

/** Runs a transaction of the store's own, again when a deadlock or a conflict has undone it. */
export async function ownTransaction<T>(
  context: Pick<StoreContext, 'driver' | 'settings'>,
  body: (tx: PgTransaction) => Promise<T>,
): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await context.driver.transaction(body)
    } catch (error) {
      if (!isConflict(error) || attempt + 1 >= MAX_TRIES) throw error
    }
    await backOff(context, attempt)
  }
}

/** Waits before try `attempt` (from 0) is repeated: longer each time, with jitter so that those in conflict part. */
export function backOff({ settings }: Pick<StoreContext, 'settings'>, attempt: number): Promise<void> {
  return pause(settings, jittered(settings.random, Math.min(MAX_PAUSE_MS, 2 ** Math.min(attempt + 1, 10))))
}

/** The store was closed by its owner. */
export function closedError({ driver }: Pick<StoreContext, 'driver'>): OncewardError {
  return new OncewardError('CLOSED', `the store on ${driver.where} was closed; make a new one`)
}
