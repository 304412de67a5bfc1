import type { SqlResult, SqlValue } from '../sql/index.ts'

/** One fixed statement. On PostgreSQL every column is cast to text, and every parameter to its type. */
export interface SqlStatement {
  readonly text: string
  /** The columns of its answer, in order: single words in lower case. Empty for what answers no rows. */
  readonly columns: readonly string[]
  /** Under which PostgreSQL may prepare it: no two texts have the same. Absent: it is not worth preparing. */
  readonly name?: string
}

/** A statement with its values. */
export interface SqlCall {
  readonly statement: SqlStatement
  readonly values: readonly SqlValue[]
}

/**
 * Statements that run one after another in one transaction: each call that is yielded is answered before the work goes on.
 * A generator and no async function, so that a driver that answers at once (SQLite) runs all of it in one go, and nothing
 * else can come in between on its connection.
 */
export type SqlWork<T> = Generator<SqlCall, T, SqlResult>

/** Makes a piece of work: anew each time, because a transaction that was undone is run again. */
export type MakeWork<T> = () => SqlWork<T>

/** Runs a statement inside of work: `const { rows } = yield* ask(FIND, [id])`. */
export function* ask(statement: SqlStatement, values: readonly SqlValue[] = []): SqlWork<SqlResult> {
  return yield { statement, values }
}

/** What work itself has thrown, apart from what its statements threw: nobody may take it for an error of the database. */
export class WorkThrew extends Error {
  override readonly name: string = 'WorkThrew'
  readonly thrown: unknown

  constructor(thrown: unknown) {
    super('the work has thrown')
    this.thrown = thrown
  }
}

/** The error that work has thrown, where a driver has passed it on, or has taken it for one of its own. */
export function asThrown(error: unknown): unknown {
  for (const layer of [error, (error as { readonly cause?: unknown } | undefined)?.cause]) {
    if (layer instanceof WorkThrew) return layer.thrown
  }
  return error
}

/**
 * Runs work on a driver that answers later. An error of a statement is thrown where the work has asked, and as it is when it
 * comes out again. @throws {@link WorkThrew}.
 */
export async function driveAsync<T>(
  work: SqlWork<T>,
  query: (call: SqlCall) => Promise<SqlResult>,
): Promise<T> {
  let step = resume(() => work.next())
  while (!step.done) {
    let answer: SqlResult
    try {
      answer = await query(step.value)
    } catch (error) {
      step = resume(() => work.throw(error), error)
      continue
    }
    step = resume(() => work.next(answer))
  }
  return step.value
}

/** Runs work on a driver that answers at once. @throws {@link WorkThrew}. */
export function driveSync<T>(work: SqlWork<T>, query: (call: SqlCall) => SqlResult): T {
  let step = resume(() => work.next())
  while (!step.done) {
    let answer: SqlResult
    try {
      answer = query(step.value)
    } catch (error) {
      step = resume(() => work.throw(error), error)
      continue
    }
    step = resume(() => work.next(answer))
  }
  return step.value
}

function resume<T>(go: () => IteratorResult<SqlCall, T>, failed?: unknown): IteratorResult<SqlCall, T> {
  try {
    return go()
  } catch (error) {
    throw failed !== undefined && error === failed ? error : new WorkThrew(error)
  }
}
