import type { SqlSession } from '../sql/index.ts'

/**
 * Bounds how long a statement waits for locks in a transaction that is not ours, and leaves its own bound as it was. The
 * server counts whole seconds: `ms` is rounded up.
 */
export async function withLockTimeout<T>(
  session: SqlSession,
  ms: number,
  body: () => Promise<T>,
): Promise<T> {
  const seconds = Math.max(1, Math.ceil(ms / 1000))
  await session.query(
    `SET @onceward_lock_wait = @@SESSION.innodb_lock_wait_timeout, SESSION innodb_lock_wait_timeout = ${seconds}`,
    [],
  )
  try {
    return await body()
  } finally {
    // Where this fails the connection is broken, and the error of the body tells so.
    await session.query('SET SESSION innodb_lock_wait_timeout = @onceward_lock_wait', []).catch(() => {})
  }
}
