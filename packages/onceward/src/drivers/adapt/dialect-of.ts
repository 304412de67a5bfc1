import type { SqlDialect } from '../sql/sql-session.ts'
import { asHandle, can, type Handle } from './adapted-session.ts'
import { drizzleKind } from './drizzle.ts'

/** What packages call a database of MySQL's kind. */
const MYSQL = /^(?:mysql|mariadb)/i

/**
 * Tells which SQL a transaction handle speaks, by its shape: that of mysql2, or what a query builder or ORM says of itself.
 *
 * Limit: it is `postgres` for whatever does not say that it is on MySQL.
 */
export function dialectOf(handle: unknown): SqlDialect {
  const shape = asHandle(handle)
  return shape && NAMES.some((nameOf) => MYSQL.test(String(nameOf(shape) ?? ''))) ? 'mysql' : 'postgres'
}

/** How each package names its database. */
const NAMES: readonly ((handle: Handle) => unknown)[] = [
  // The connections of mysql2 are told by their two ways to query.
  (handle) => (can(handle, 'query', 'execute') ? 'mysql' : undefined),
  (handle) => drizzleKind(handle),
  kyselyName,
  // Knex.
  (handle) => asHandle(handle['client'])?.['dialect'],
  // TypeORM.
  (handle) => asHandle(asHandle(handle['connection'])?.['options'])?.['type'],
  // Sequelize.
  (handle) => asHandle(asHandle(asHandle(handle['sequelize'])?.['options']))?.['dialect'],
  // Prisma.
  (handle) => (can(handle, '$queryRawUnsafe') ? handle['_activeProvider'] : undefined),
]

/** Kysely says what its database can do: that of MySQL alone has no RETURNING. */
function kyselyName(handle: Handle): string | undefined {
  if (typeof handle === 'function' || !can(handle, 'getExecutor', 'withoutPlugins')) return undefined
  const { getExecutor } = handle as unknown as { getExecutor(): { readonly adapter?: unknown } }
  const adapter = asHandle(getExecutor.call(handle).adapter)
  return adapter?.['supportsReturning'] === false && adapter['supportsOutput'] !== true ? 'mysql' : undefined
}
