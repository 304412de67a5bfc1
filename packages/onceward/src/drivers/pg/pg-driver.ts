import type { Timers } from '../../core/clock.ts'
import { failure } from './pg-errors.ts'

/** What may be bound. Numbers are written as text, and every statement casts its parameters. */
export type PgValue = string | Uint8Array | null

/** A row in the order of the columns of its statement. Every statement casts its columns to text. */
export type TextRow = readonly (string | null)[]

/** One fixed statement. */
export interface PgStatement {
  readonly text: string
  /** The columns of its answer, in order. Single words in lower case: nothing that renames columns touches them. */
  readonly columns: readonly string[]
  /** Under which it may be prepared: no two texts have the same. Absent: it is not worth preparing. */
  readonly name?: string
}

/** What a statement answers. */
export interface PgAnswer {
  readonly rows: readonly TextRow[]
  /** How many rows it has written. */
  readonly affected: number
}

/** Runs a statement, bounded in time. */
export type Run = (statement: PgStatement, values: readonly PgValue[]) => Promise<PgAnswer>

/** An open transaction on one connection. */
export interface PgTransaction {
  /** The driver's own handle, for whoever writes in the same transaction. */
  readonly handle: object
  readonly run: Run
  /** Runs fixed text without parameters, also several statements. */
  script(text: string): Promise<void>
}

/** What is done with what a channel tells. */
export interface Listening {
  readonly channel: string
  onPayload(payload: string): void
  /** The connection is gone; nothing arrives any more. */
  onLost(): void
}

/** A connection that listens, until it is closed or lost. */
export interface PgListener {
  close(): Promise<void>
}

/** A driver with its pool of connections, the same for all drivers. */
export interface PgDriver {
  /** Which database it is, without credentials, for messages. */
  readonly where: string
  /** Runs one statement in a transaction of its own, on any connection. */
  readonly run: Run
  /**
   * Runs `body` in one READ COMMITTED transaction on one connection.
   *
   * @throws {@link CommitFailed} when the body has ended and the commit was not confirmed; else what the body threw.
   */
  transaction<T>(body: (tx: PgTransaction) => Promise<T>): Promise<T>
  /** Listens on a connection of its own. */
  listen(listening: Listening): Promise<PgListener>
}

/** What a driver is opened with. */
export interface PgDriverOptions {
  /** Who was given the pool, for messages. Default `postgresStore`. */
  readonly user?: string
  readonly timers: Timers
  /** How long a connection or an answer is waited for, in ms. */
  readonly queryTimeoutMs: number
  /** Whether statements with a name are prepared once a connection. */
  readonly prepare: boolean
}

/** The body has ended and COMMIT was sent; whether it took effect may be unknown. */
export class CommitFailed extends Error {
  override readonly name: string = 'CommitFailed'

  constructor(cause: unknown) {
    super('the commit was not confirmed', { cause })
  }
}

/** The body has ended its transaction itself, or has swallowed what failed it. */
export function rolledBack(where: string): unknown {
  return failure(
    'STORE_UNAVAILABLE',
    `${where}: the transaction was rolled back, because a statement in it had failed and its error was not thrown; ` +
      'let it be thrown, or put a savepoint around what may fail',
  )
}

/** What the pool hands out is in the middle of somebody's transaction. */
export function leftOpen(where: string): unknown {
  return failure(
    'STORE_UNAVAILABLE',
    `${where}: connections of the pool come with a transaction left open; commit or roll back before release()`,
  )
}

/** The body has run COMMIT or ROLLBACK. Misuse, and no word about the effect: what was committed cannot be undone here. */
export function endedItself(): TypeError {
  return new TypeError('the body ended its transaction itself; leave COMMIT and ROLLBACK to the store')
}
