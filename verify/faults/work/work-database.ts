import type { createTasks } from 'onceward/tasks'

/** What the library takes as a database. */
export type DatabaseHandle = Parameters<typeof createTasks>[0]['db']

/** Where a database is, as a worker is told. */
export interface DatabaseAddress {
  readonly kind: 'sqlite' | 'postgres' | 'mysql'
  /** A URL, or the path of a file. */
  readonly at: string
  readonly timeoutMs: number
}

/** A transaction of the user's own. On SQLite all of it happens at once, and answers are no promises. */
export interface UserTx {
  /** The driver's own handle. */
  readonly handle: object
  run(sql: string, values: readonly (string | number)[]): unknown
}

/** How a transaction of the user ends. */
export interface Ending {
  readonly commits: boolean
  /** Is told each point at which the process may end itself. */
  crash(point: CommitPoint): void
}

/** Around a commit: before it is asked for, when it was sent and not answered, and after its answer. */
export type CommitPoint = 'before-commit' | 'at-commit' | 'after-commit'

/** A database as a program uses it beside the library: statements have `?` for their values, whichever it is. */
export interface WorkDatabase {
  readonly kind: DatabaseAddress['kind']
  /** What the library is given. */
  readonly db: DatabaseHandle
  /** Runs the steps in one transaction. */
  transact(steps: readonly ((tx: UserTx) => unknown)[], ending: Ending): Promise<void>
  /** Runs one statement on the handle that the library gives to a handler. */
  runOn(handle: unknown, sql: string, values: readonly (string | number)[]): unknown
  query(sql: string, values?: readonly (string | number)[]): Promise<readonly Row[]>
  end(): Promise<void>
}

/** A row of an answer. */
export type Row = Readonly<Record<string, unknown>>
