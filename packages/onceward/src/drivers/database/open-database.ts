import type { MysqlPool } from '../mysql/index.ts'
import type { PostgresPool } from '../pg/index.ts'
import { isSqliteHandle, type SqliteHandle } from '../sqlite/index.ts'
import { type DatabaseOptions, databaseSettings } from './database-options.ts'
import { mysqlDatabase } from './mysql-database.ts'
import { postgresDatabase } from './postgres-database.ts'
import type { SqlDatabase } from './sql-database.ts'
import { sqliteDatabase } from './sqlite-database.ts'

/**
 * What may be given as `db`: a `Pool` of `pg`, a root `sql` of `postgres`, a pool of `mysql2`, the path of a SQLite file, or
 * an open SQLite database.
 */
export type DatabaseHandle = PostgresPool | MysqlPool | SqliteHandle | string

/**
 * Makes one database of whatever was given. Nothing is asked of it before the first use.
 *
 * @param user - Which function was given it, for messages.
 * @throws `TypeError` with the mend for anything that is not known.
 */
export function openDatabase(db: DatabaseHandle, options: DatabaseOptions, user: string): SqlDatabase {
  const settings = databaseSettings(options, user)
  if (typeof db === 'string') return sqliteDatabase(checkedPath(db, user), settings)
  if (isMysqlPool(db)) return mysqlDatabase(db, settings)
  if (isSqliteHandle(db)) return sqliteDatabase(db, settings)
  if ((typeof db === 'object' && db !== null) || typeof db === 'function')
    return postgresDatabase(db, settings)
  throw new TypeError(`${user} needs a db: ${ACCEPTED}`)
}

const ACCEPTED =
  'a `pg` Pool, a root `sql` of `postgres`, a `mysql2` pool, the path of a SQLite file, or an open SQLite database'

function checkedPath(path: string, user: string): string {
  if (path === '') throw new TypeError(`${user} was given an empty path; name a file, or ':memory:'`)
  if (!/^(?:sqlite:|[a-z][a-z+]*:\/\/)/i.test(path)) return path
  throw new TypeError(`${user} was given a URL; open the pool and pass it: ${ACCEPTED}`)
}

function isMysqlPool(db: unknown): db is MysqlPool {
  if (typeof db !== 'object' || db === null) return false
  const { getConnection, execute } = db as { getConnection?: unknown; execute?: unknown }
  return typeof getConnection === 'function' || (typeof execute === 'function' && !('exec' in db))
}
