import type { SqlDialect, SqlResult } from '../sql/index.ts'
import type { MakeWork, SqlCall } from './sql-work.ts'

/** The open transaction that a body of {@link SqlDatabase.transact} is given. */
export interface OpenTransaction {
  /** The driver's own handle, for whoever writes in the same transaction. */
  readonly handle: object
  /** Runs work of ours in it; at once on SQLite, where the answer is no promise. */
  run<T>(make: MakeWork<T>): T | Promise<T>
}

/**
 * Wakes those who look for work, in this and in other processes. A hint and no more: some are lost, so whoever listens looks
 * for itself now and then.
 */
export interface ChangeHints {
  /** Hears until it is stopped. */
  listen(onHint: () => void): { stop(): void }
  /** Tells all who listen, after the commit of what is to be seen. Nobody waits for it. */
  tell(): void
  close(): Promise<void>
}

/**
 * A SQL database as capabilities see it that keep tables of their own in it. All statements are fixed; times are the
 * server's.
 *
 * Errors are `OncewardError`s. What failed before its commit was asked for has `effect: 'none'`. Where the answer to a commit
 * (or to a writing statement that commits by itself) was lost, it is `unknown`.
 */
export interface SqlDatabase {
  readonly dialect: SqlDialect
  /** Which database it is, without credentials, for messages. */
  readonly where: string
  /** The name of one of our tables as statements write it: on PostgreSQL with its schema. */
  table(name: string): string
  /** Reads, outside any transaction. */
  read(call: SqlCall): Promise<SqlResult>
  /** Runs one writing statement that commits by itself: again when a deadlock or a conflict has undone it. */
  write(call: SqlCall): Promise<SqlResult>
  /**
   * Runs work in one transaction: READ COMMITTED on a server, under the write lock on SQLite. Again, as a whole, when a deadlock
   * or a conflict has undone it. What the work throws undoes everything and is thrown on as it is, errors of drivers translated.
   */
  transaction<T>(make: MakeWork<T>): Promise<T>
  /**
   * Runs a body of the user in one transaction, which it may write in too: again, as a whole, when it lets an error through
   * with which a deadlock or a conflict has undone it. On SQLite the body must be synchronous. What it throws undoes everything
   * and is thrown on as it is.
   *
   * @throws `TypeError` when the body has ended the transaction itself, or is asynchronous on SQLite.
   */
  transact<T>(body: (tx: OpenTransaction) => T | Promise<T>): Promise<T>
  /**
   * Runs work in the caller's open transaction, whose handle may be of any package that `once.within` takes; at once on
   * SQLite. It commits and rolls back with that transaction.
   *
   * @throws `TypeError` for a handle on which no transaction is open.
   */
  within<T>(handle: unknown, make: MakeWork<T>): T | Promise<T>
  /** Hints on a channel, a fixed word. Over the server where it can wake (PostgreSQL), else within this process. */
  hints(channel: string): ChangeHints
  /** Applies the migrations that are missing; answers their names. */
  migrate(): Promise<readonly string[]>
  /** Refuses further calls. Closes what was opened here: a SQLite file by its path. A pool or a handle stays its owner's. */
  close(): Promise<void>
}
