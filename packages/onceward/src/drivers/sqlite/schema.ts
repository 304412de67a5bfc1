import { readFileSync } from 'node:fs'
import type { SqliteConnection } from './sqlite-connection.ts'
import type { SqliteContext } from './sqlite-context.ts'
import { failure, schemaMissing } from './sqlite-errors.ts'
import { writeTransaction } from './write-lock.ts'

/** The migrations in their order; each is a file of this name in `migrations/`. Never change one that was released. */
export const MIGRATIONS: readonly string[] = [
  '0001-operations',
  '0002-locks',
  '0003-tasks',
  '0004-inbox',
  '0005-outbox',
  '0006-seen',
]

/** The version of the schema that this program reads and writes. */
export const SCHEMA_VERSION: number = MIGRATIONS.length

const HAS_TABLE = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'onceward_migrations'"
const VERSION = 'SELECT coalesce(max(number), 0) FROM onceward_migrations'
const CREATE_TABLE = `CREATE TABLE onceward_migrations (
  number     INTEGER PRIMARY KEY,
  name       TEXT    NOT NULL,
  applied_at INTEGER NOT NULL
)`
const INSERT = 'INSERT INTO onceward_migrations (number, name, applied_at) VALUES (?, ?, ?)'

/** The version of the schema in a database: 0 when it has none. A table of its own, because `user_version` is the user's. */
export function schemaVersion(connection: SqliteConnection): number {
  return connection.value(HAS_TABLE) === 0 ? 0 : Number(connection.value(VERSION))
}

/** Refuses to work on another schema than this program's. @throws `SCHEMA_MISSING`, `SCHEMA_NEWER`. */
export function assertSchema(connection: SqliteConnection): void {
  const found = schemaVersion(connection)
  if (found > SCHEMA_VERSION) throw newerSchema(connection, found)
  if (found < SCHEMA_VERSION) throw schemaMissing(connection.path)
}

/**
 * Applies the migrations that are missing, all in one transaction: several processes may do so at once, one of them
 * does the work and the others find it done.
 *
 * @returns the names of those applied.
 * @throws `SCHEMA_NEWER`; `STORE_UNAVAILABLE` when the write lock was not to be had in time.
 */
export async function migrateSchema(context: SqliteContext): Promise<readonly string[]> {
  const { connection, clock } = context
  return writeTransaction(context, () => {
    const found = schemaVersion(connection)
    if (found > SCHEMA_VERSION) throw newerSchema(connection, found)
    const missing = MIGRATIONS.slice(found)
    if (found === 0) connection.exec(CREATE_TABLE)
    missing.forEach((name, index) => {
      connection.exec(textOf(name))
      connection.prepare(INSERT).run(found + index + 1, name, Math.floor(clock.now()))
    })
    return missing
  })
}

/** A migration that is not applied yet, with all that `migrate` would run for it. */
export interface PendingMigration {
  readonly name: string
  readonly sql: string
}

/** The migrations that are not applied yet. @throws `SCHEMA_NEWER`. */
export function pendingMigrations(connection: SqliteConnection): readonly PendingMigration[] {
  const found = schemaVersion(connection)
  if (found > SCHEMA_VERSION) throw newerSchema(connection, found)
  return MIGRATIONS.slice(found).map((name, index) => {
    const number = found + index + 1
    const first = number === 1 ? `${CREATE_TABLE};\n` : ''
    const last = `INSERT INTO onceward_migrations (number, name, applied_at) VALUES (${number}, '${name}', unixepoch() * 1000);\n`
    return { name, sql: `${first}${textOf(name)}${last}` }
  })
}

function textOf(name: string): string {
  return readFileSync(new URL(`./migrations/${name}.sql`, import.meta.url), 'utf8')
}

function newerSchema(connection: SqliteConnection, found: number): unknown {
  return failure(
    'SCHEMA_NEWER',
    `the schema of ${connection.path} is version ${found}, this program knows ${SCHEMA_VERSION}; upgrade onceward`,
  )
}
