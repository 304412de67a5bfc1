import { asHandle } from './adapted-session.ts'
import { drizzleDriver, drizzleKind } from './drizzle.ts'

/**
 * The database below a handle: a transaction of Drizzle over better-sqlite3 wraps one; anything else is answered as it is.
 *
 * @throws `TypeError` for a Drizzle database on which no transaction is open.
 */
export function sqliteHandleOf(handle: unknown): unknown {
  const shape = asHandle(handle)
  return shape && drizzleKind(shape) !== undefined ? drizzleDriver(shape) : handle
}
