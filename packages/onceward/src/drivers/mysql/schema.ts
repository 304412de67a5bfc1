import { readFileSync } from 'node:fs'
import type { SqlSession } from '../sql/index.ts'
import { failure, mysqlErrno, schemaMissing } from './mysql-errors.ts'
import { type OwnParts, ownStatement } from './own-statements.ts'
import { JSON_PARAMETER, NOW_MS } from './sql-parts.ts'

/** One numbered change of the schema. */
export interface Migration {
  readonly name: string
  /** The oldest version of the program that can work with the schema after it. */
  readonly compatibleFrom: number
}

/**
 * The migrations in their order; each is a file of this name in `migrations/`. Never change one that was released. Its
 * statements end with `;` at the end of a line, and can be repeated: MySQL commits each statement of a schema by itself.
 */
export const MIGRATIONS: readonly Migration[] = [
  { name: '0001-operations', compatibleFrom: 1 },
  { name: '0002-locks', compatibleFrom: 1 },
  { name: '0003-tasks', compatibleFrom: 1 },
  { name: '0004-inbox', compatibleFrom: 1 },
  { name: '0005-outbox', compatibleFrom: 1 },
  { name: '0006-seen', compatibleFrom: 1 },
]

/** The version of the schema that this program reads and writes. */
export const SCHEMA_VERSION: number = MIGRATIONS.length

/** What is there: the version, and the oldest program that may use it. Version 0 is no schema. */
export interface FoundSchema {
  readonly version: number
  readonly compatibleFrom: number
}

const CREATE_TABLE = `CREATE TABLE IF NOT EXISTS onceward_migrations (
  number          INT          NOT NULL PRIMARY KEY,
  name            VARCHAR(100) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  applied_at      BIGINT       NOT NULL,
  compatible_from INT          NOT NULL
) ENGINE = InnoDB`
const FOUND = 'SELECT number, compatible_from FROM onceward_migrations ORDER BY number DESC LIMIT 1'
const INSERT = `INSERT IGNORE INTO onceward_migrations (number, name, applied_at, compatible_from)
  SELECT j.number, j.name, ${NOW_MS}, j.compatible_from FROM JSON_TABLE(${JSON_PARAMETER}, '$' COLUMNS (
    number INT PATH '$[0]', name VARCHAR(100) CHARACTER SET ascii PATH '$[1]', compatible_from INT PATH '$[2]')) AS j`
/** One database migrates at a time on a server; the name of a lock has at most 64 characters. */
const LOCK = "SELECT GET_LOCK(CONCAT('onceward.', SHA1(COALESCE(DATABASE(), '-'))), 8) AS locked"
const UNLOCK = "SELECT RELEASE_LOCK(CONCAT('onceward.', SHA1(COALESCE(DATABASE(), '-')))) AS unlocked"

const NO_SUCH_TABLE = 1146

/** Reads the version of the schema. */
export async function foundSchema(session: SqlSession): Promise<FoundSchema> {
  try {
    const { rows } = await session.query(FOUND, [])
    const [row] = rows
    return row === undefined
      ? { version: 0, compatibleFrom: 0 }
      : { version: Number(row['number']), compatibleFrom: Number(row['compatible_from']) }
  } catch (error) {
    if (mysqlErrno(error) === NO_SUCH_TABLE) return { version: 0, compatibleFrom: 0 }
    throw error
  }
}

/** Refuses a schema that this program cannot work with. @throws `SCHEMA_MISSING`, `SCHEMA_NEWER`. */
export function assertUsable(found: FoundSchema, where: string): void {
  if (found.version < SCHEMA_VERSION) throw schemaMissing(where)
  if (found.version > SCHEMA_VERSION && found.compatibleFrom > SCHEMA_VERSION) throw newerSchema(found, where)
}

/** The migrations that are missing, with their text. */
export function pendingMigrations(
  found: FoundSchema,
): readonly { readonly name: string; readonly sql: string }[] {
  return MIGRATIONS.slice(found.version).map(({ name }) => ({ name, sql: textOf(name) }))
}

/**
 * Applies the migrations that are missing. Several processes may do so at once: one does the work while the others wait
 * for it. One that was cut off half-way is gone on with.
 *
 * @returns the names of those applied.
 * @throws `SCHEMA_NEWER`; `STORE_UNAVAILABLE` when another process has been migrating for too long.
 */
export function migrateSchema(parts: OwnParts): Promise<readonly string[]> {
  const { where } = parts.driver
  return ownStatement(parts, async (session) => {
    // Without a right to create anything, a schema that is up to date can still be found so.
    const before = await foundSchema(session)
    if (before.version >= SCHEMA_VERSION) return applied(before, where)
    const { rows } = await session.query(LOCK)
    if (Number(rows[0]?.['locked']) !== 1) {
      throw failure(
        'STORE_UNAVAILABLE',
        `${where}: another process is migrating it; try again when it has ended`,
      )
    }
    try {
      await session.query(CREATE_TABLE)
      const found = await foundSchema(session)
      if (found.version >= SCHEMA_VERSION) return applied(found, where)
      const pending = pendingMigrations(found)
      for (const [index, { name, sql }] of pending.entries()) {
        for (const statement of statementsOf(sql)) await session.query(statement)
        const number = found.version + index + 1
        const row = JSON.stringify([number, name, MIGRATIONS[number - 1]?.compatibleFrom])
        await session.query(INSERT, [row])
      }
      return pending.map(({ name }) => name)
    } finally {
      await session.query(UNLOCK)
    }
  })
}

function applied(found: FoundSchema, where: string): readonly string[] {
  assertUsable(found, where)
  return []
}

function textOf(name: string): string {
  return readFileSync(new URL(`./migrations/${name}.sql`, import.meta.url), 'utf8')
}

function statementsOf(sql: string): readonly string[] {
  return sql
    .split(/;\s*$/m)
    .map((statement) => statement.trim())
    .filter((statement) => statement !== '')
}

function newerSchema(found: FoundSchema, where: string): unknown {
  return failure(
    'SCHEMA_NEWER',
    `the schema of ${where} is version ${found.version}, this program knows ${SCHEMA_VERSION}; upgrade onceward`,
  )
}
