import {
  closedError,
  type SqliteContext,
  sqliteFailure,
  writeTransaction,
} from '../../drivers/sqlite/index.ts'

/** Something to do under the write lock. */
interface Job {
  readonly body: () => unknown
  readonly resolve: (value: never) => void
  readonly reject: (error: unknown) => void
}

/** Steps of many callers in few transactions. */
export interface GroupedSteps {
  /** Runs `body` under the write lock; answers what it answers once that is committed. */
  run<T>(body: () => T): Promise<T>
}

/** The most steps of one transaction, so that the event loop is not held up for long. */
const MAX_BATCH = 256

/**
 * Commits what is asked for within one turn of the event loop, or while the write lock is waited for, in one transaction. Each
 * step sees what those before it have written. Where one throws, each is run in a transaction of its own.
 */
export function groupedSteps(context: SqliteContext): GroupedSteps {
  const queue: Job[] = []
  let running = false

  const commit = async (batch: readonly Job[]): Promise<void> => {
    try {
      const values = await writeTransaction(context, () => batch.map(({ body }) => body()))
      for (const [index, { resolve }] of batch.entries()) resolve(values[index] as never)
    } catch (error) {
      const [only, ...others] = batch
      if (only && others.length === 0) only.reject(sqliteFailure(error, context.connection.path))
      else for (const job of batch) await commit([job])
    }
  }
  const flush = async () => {
    while (queue.length > 0) {
      const batch = queue.splice(0, MAX_BATCH)
      await commit(batch)
    }
    running = false
  }
  return {
    run: (body) =>
      new Promise((resolve, reject) => {
        if (context.isClosed()) return reject(closedError(context))
        queue.push({ body, resolve, reject })
        if (running) return
        running = true
        setImmediate(() => void flush())
      }),
  }
}
