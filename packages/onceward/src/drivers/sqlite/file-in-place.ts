import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import type { SqliteConnection } from './sqlite-connection.ts'
import { failure } from './sqlite-errors.ts'

/**
 * Refuses to begin a transaction once the file was deleted or replaced under the open connection: what is written then
 * nobody else sees, and a process that opens the path later would run the same operations again.
 *
 * Limit: it is looked at when a transaction begins; a file that is taken away within one is noticed by the next.
 */
export function keptInPlace(connection: SqliteConnection, file: string): SqliteConnection {
  // The working directory may change later.
  const path = resolve(file)
  const opened = identityOf(path)
  // A database in memory, or a name that only SQLite understands.
  if (opened === undefined) return connection
  const isInPlace = () => {
    try {
      return identityOf(path) === opened
    } catch {
      // It cannot be looked at, so nothing is known against it.
      return true
    }
  }
  return {
    ...connection,
    tryBegin() {
      if (!connection.tryBegin()) return false
      if (isInPlace()) return true
      connection.rollback()
      throw failure(
        'STORE_CORRUPT',
        `the SQLite database ${file} was deleted or replaced while it was open; put it back, or restart this process`,
      )
    },
  }
}

function identityOf(path: string): string | undefined {
  const file = statSync(path, { throwIfNoEntry: false })
  return file && `${file.dev}:${file.ino}`
}
