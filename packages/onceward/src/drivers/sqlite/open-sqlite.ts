import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { failure, isBusy, sqliteFailure } from './sqlite-errors.ts'
import type { SqliteHandle } from './sqlite-handle.ts'

interface SqliteModule {
  readonly DatabaseSync: new (path: string, options?: { readonly timeout?: number }) => SqliteHandle
}

/**
 * Opens a database file with the built-in driver, or with `@photostructure/sqlite` where Node.js has none (before 22.13).
 *
 * @param options.create - Whether a missing file is created. Default true.
 * @throws `STORE_MISCONFIGURED` without a driver, `STORE_UNAVAILABLE` when the file cannot be opened, `STORE_CORRUPT` when
 * it is not a database. Nothing is left open or created then.
 */
export function openSqlite(path: string, options: { readonly create?: boolean } = {}): SqliteHandle {
  if (options.create === false && path !== ':memory:' && !existsSync(path)) {
    throw failure('STORE_UNAVAILABLE', `there is no SQLite database ${path}; check the path`)
  }
  const { DatabaseSync } = loadDriver()
  let handle: SqliteHandle | undefined
  try {
    handle = new DatabaseSync(path, { timeout: 0 })
    handle.exec('PRAGMA busy_timeout = 0')
    // The first look into the file, which tells a foreign one.
    handle.prepare('PRAGMA schema_version').get()
    return handle
  } catch (error) {
    if (handle && isBusy(error)) return handle
    handle?.close()
    throw sqliteFailure(error, path)
  }
}

function loadDriver(): SqliteModule {
  const builtIn = process.getBuiltinModule?.('node:sqlite') as SqliteModule | undefined
  if (builtIn) return builtIn
  try {
    return createRequire(import.meta.url)('@photostructure/sqlite') as SqliteModule
  } catch (error) {
    throw failure(
      'STORE_MISCONFIGURED',
      `no SQLite driver on Node.js ${process.versions.node}: run \`npm install @photostructure/sqlite\`, or use Node.js 22.13 or later`,
      error,
    )
  }
}
