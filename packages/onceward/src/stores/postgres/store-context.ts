import { OncewardError } from '../../core/errors.ts'
import type { PgDriver, Run } from '../../drivers/pg/index.ts'
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

/** The store was closed by its owner. */
export function closedError({ driver }: Pick<StoreContext, 'driver'>): OncewardError {
  return new OncewardError('CLOSED', `the store on ${driver.where} was closed; make a new one`)
}
