import { type Adapter, asHandle, can, noTransaction } from './adapted-session.ts'

const KIND = Symbol.for('drizzle:entityKind')

/** A transaction of Drizzle over node-postgres, postgres-js or mysql2: the session has the driver's own connection. */
export const drizzleSession: Adapter = (handle, _dialect, open) => {
  if (drizzleKind(handle) === undefined) return undefined
  return open(drizzleDriver(handle))
}

/** The connection of a Drizzle transaction. @throws `TypeError` for a root, and for a driver that is not reached so. */
export function drizzleDriver(handle: Readonly<Record<PropertyKey, unknown>>): unknown {
  if (!can(handle, 'rollback')) {
    throw noTransaction(
      'a Drizzle database',
      'pass the `tx` that `db.transaction(async (tx) => …)` hands you',
    )
  }
  const client = asHandle(handle['session'])?.['client']
  if (client !== undefined) return client
  throw new TypeError(
    `transactions of Drizzle's ${drizzleKind(handle)} cannot be joined; use node-postgres, postgres-js, mysql2 or better-sqlite3`,
  )
}

/** The kind that Drizzle gives its classes, nothing for a handle of another package. */
export function drizzleKind(handle: Readonly<Record<PropertyKey, unknown>>): string | undefined {
  const kind = asHandle(handle['constructor'])?.[KIND]
  return typeof kind === 'string' ? kind : undefined
}
