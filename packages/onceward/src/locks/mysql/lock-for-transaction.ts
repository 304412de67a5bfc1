import { createHash } from 'node:crypto'
import { joining } from '../../drivers/adapt/index.ts'
import { mysqlFailure, withLockTimeout } from '../../drivers/mysql/index.ts'
import { conflictOf } from '../../drivers/sql/index.ts'
import { checkedWait, waitedInVain } from '../transaction-lock.ts'
import { LOCK_OR_CREATE } from './lock-statements.ts'

/** Options of {@link lockForTransaction}. */
export interface LockForTransactionOptions {
  /**
   * How long another transaction that has the lock is waited for, in ms. The server counts whole seconds, at least one: it is
   * rounded up. Default 10,000.
   */
  readonly waitMs?: number
}

/** What messages call the database: a transaction does not tell where it is. */
const WHERE = 'MySQL'

/**
 * Takes a lock for work inside one transaction, and keeps it until that transaction has ended, however it ends: nothing has to
 * be released, extended or fenced. `tx` is an open transaction of `mysql2`, Drizzle, Kysely, Knex, Prisma, TypeORM, MikroORM
 * or Sequelize.
 *
 * It is the lock of a row of `onceward_locks`, which is made where it is missing and forgotten later. Asking again inside the
 * same transaction is granted at once.
 *
 * Limit: it excludes transactions that take it too, and nobody else: the leases of `mysqlLocks` are other locks. Take it
 * before the first read under REPEATABLE READ (the default), whose plain reads show the time of the first one; or read with
 * FOR UPDATE. Two transactions that take several keys in different orders end in a deadlock (error 1213), which undoes one
 * of them. Where `innodb_rollback_on_timeout` is on, a wait in vain undoes the transaction too.
 *
 * @throws `LOCK_TIMEOUT` (effect none) after `waitMs`: the transaction goes on. `SCHEMA_MISSING`; `TypeError` for a pool or
 * another root.
 * @example
 * const connection = await mysql.createPool('mysql://app:secret@localhost/shop').getConnection()
 * await connection.beginTransaction()
 * await lockForTransaction(connection, `cart/${cart.id}`)
 */
export async function lockForTransaction(
  tx: unknown,
  key: string,
  options: LockForTransactionOptions = {},
): Promise<void> {
  const waitMs = checkedWait(key, options)
  const failure = (error: unknown) => mysqlFailure(error, WHERE)
  const joined = joining('mysql', { failure })
  await joined.assertInTransaction(tx)
  const session = joined.sessionOf(tx)
  try {
    await withLockTimeout(session, waitMs, () => session.query(LOCK_OR_CREATE, [rowOf(key)]))
  } catch (error) {
    throw conflictOf(error) === 'lock-timeout' ? waitedInVain(key, waitMs, error) : failure(error)
  }
}

/** A row that no lease has: its key begins with a byte that is in no text. */
function rowOf(key: string): string {
  return `ff${createHash('sha256').update(key).digest('hex')}`
}
