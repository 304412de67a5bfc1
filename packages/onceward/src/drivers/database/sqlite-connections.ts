import { sqliteHandleOf } from '../adapt/index.ts'
import {
  isSqliteHandle,
  type SqliteConnection,
  type SqliteHandle,
  sqliteConnection,
} from '../sqlite/index.ts'

/**
 * The connections of handles on which callers have begun a transaction. Statements are prepared once a handle.
 *
 * @param own - That of whoever asks, whose handle a caller may give too.
 * @returns what answers the connection of an open transaction. It throws a `TypeError` with the mend for anything else.
 */
export function sqliteConnections(own: SqliteConnection): (tx: unknown) => SqliteConnection {
  const known = new WeakMap<SqliteHandle, SqliteConnection>([[own.handle, own]])
  return (tx) => {
    const handle = sqliteHandleOf(tx)
    if (!isSqliteHandle(handle)) {
      throw new TypeError(
        'give the open database: a DatabaseSync of node:sqlite or @photostructure/sqlite, a better-sqlite3 Database, ' +
          'or the tx of Drizzle over better-sqlite3; what is asynchronous cannot take part',
      )
    }
    const connection = known.get(handle) ?? sqliteConnection(handle, 'of the given handle')
    known.set(handle, connection)
    if (connection.inTransaction()) return connection
    throw new TypeError(
      "no transaction is open on the given handle; run db.exec('BEGIN IMMEDIATE') first, or use once.transaction()",
    )
  }
}
