import { createHash } from 'node:crypto'
import { joining } from '../../drivers/adapt/index.ts'
import { isLockTimeout, pgFailure } from '../../drivers/pg/index.ts'
import type { SqlSession } from '../../drivers/sql/index.ts'
import { checkedWait, waitedInVain } from '../transaction-lock.ts'

/** Options of {@link lockForTransaction}. */
export interface LockForTransactionOptions {
  /** How long another transaction that has the lock is waited for, in ms. 0 is one attempt. Default 10,000. */
  readonly waitMs?: number
}

const TRY = 'SELECT pg_try_advisory_xact_lock($1::bigint)::text AS locked'

/** The time limit is set within the statement itself, and what was set before is set again at its end. */
const WAIT = `WITH limits AS MATERIALIZED (
    SELECT current_setting('lock_timeout') AS before, set_config('lock_timeout', $1, true) AS lock_timeout),
  locked AS MATERIALIZED (
    SELECT limits.before AS before, pg_advisory_xact_lock($2::bigint)::text AS locked FROM limits
    WHERE limits.lock_timeout <> '')
  SELECT set_config('lock_timeout', locked.before, true) AS restored FROM locked`

/** The longest time that PostgreSQL counts, in ms. */
const MAX_INT = 2 ** 31 - 1

/** What messages call the database: a transaction does not tell where it is. */
const WHERE = 'PostgreSQL'

/**
 * Takes a lock for work inside one transaction, and keeps it until that transaction has ended, however it ends: nothing has to
 * be released, extended or fenced. `tx` is an open transaction of `pg`, `postgres`, Drizzle, Kysely, Knex, Prisma, TypeORM,
 * MikroORM or Sequelize.
 *
 * It is an advisory lock of the transaction, by 64 bits of a digest of the key; it needs no table and no migration. Asking
 * again inside the same transaction is granted at once.
 *
 * Limit: it excludes transactions that take it too, and nobody else: the leases of `postgresLocks` are other locks. Take it
 * before the first read under REPEATABLE READ or SERIALIZABLE, whose reads show the time of their first statement. Two keys
 * whose digests agree in 64 bits are one lock.
 *
 * @throws `LOCK_TIMEOUT` (effect none) after `waitMs`: the transaction goes on. `TypeError` for a pool or another root.
 * @example
 * await client.query('BEGIN')
 * await lockForTransaction(client, `cart/${cart.id}`)
 */
export async function lockForTransaction(
  tx: unknown,
  key: string,
  options: LockForTransactionOptions = {},
): Promise<void> {
  const waitMs = checkedWait(key, options)
  const failure = (error: unknown) => pgFailure(error, WHERE)
  const joined = joining('postgres', { failure })
  const number = lockNumber(key)
  await joined.assertInTransaction(tx)
  if (await tried(joined.sessionOf(tx), number, failure)) return
  if (waitMs === 0) throw waitedInVain(key, waitMs)
  const limit = String(Math.min(MAX_INT, Math.max(1, Math.ceil(waitMs))))
  try {
    // A statement that fails fails the whole transaction, unless it ran under a savepoint.
    await joined.savepoint(tx, () => joined.sessionOf(tx).query(WAIT, [limit, number]))
  } catch (error) {
    throw isLockTimeout(error) ? waitedInVain(key, waitMs, error) : failure(error)
  }
}

async function tried(
  session: SqlSession,
  number: string,
  failure: (error: unknown) => unknown,
): Promise<boolean> {
  try {
    const { rows } = await session.query(TRY, [number])
    return String(rows[0]?.['locked']) === 'true'
  } catch (error) {
    throw failure(error)
  }
}

/** 64 bits of a digest, as a signed number. */
function lockNumber(key: string): string {
  return createHash('sha256').update('onceward lock\0').update(key).digest().readBigInt64BE().toString()
}
