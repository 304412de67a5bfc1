import { readFileSync } from 'node:fs'
import { ownTransaction, type Pausing } from './own-transaction.ts'
import type { PgDriver, Run } from './pg-driver.ts'
import { failure, schemaMissing } from './pg-errors.ts'
import { NOW_MS, plain } from './statements.ts'

/** What is migrated: one schema holds the tables of all that this library keeps in a database. */
export interface SchemaParts {
  readonly driver: PgDriver
  readonly settings: Pausing['settings'] & { readonly schema: string }
}

/** One migration. Never change one that was released. */
interface Migration {
  /** The file of this name in `migrations/`. */
  readonly name: string
  /** The oldest version of the program's schema that can still work on the result. */
  readonly compatibleFrom: number
}

const MIGRATIONS: readonly Migration[] = [
  { name: '0001-operations', compatibleFrom: 1 },
  { name: '0002-locks', compatibleFrom: 1 },
  { name: '0003-tasks', compatibleFrom: 1 },
  { name: '0004-inbox', compatibleFrom: 1 },
  { name: '0005-outbox', compatibleFrom: 1 },
  { name: '0006-seen', compatibleFrom: 1 },
]

/** The version of the schema that this program reads and writes. */
export const SCHEMA_VERSION: number = MIGRATIONS.length

/** The oldest server this program works on, as `server_version_num` tells it. */
const OLDEST_SERVER = 120_000

/** A migration that is to be applied, with all that it runs. */
export interface PendingMigration {
  readonly name: string
  readonly sql: string
}

/** What a database says of itself before its tables are used. */
export interface ServerFacts {
  readonly serverVersion: number
  readonly isolation: string
  /** Whether NULL in a list is taken for what it is (`array_nulls`). */
  readonly knowsNull: boolean
  /** 0 without a schema. */
  readonly schemaVersion: number
  readonly compatibleFrom: number
}

const FACTS = `SELECT current_setting('server_version_num') AS server, current_setting('default_transaction_isolation')
  AS isolation, current_setting('array_nulls') AS nulls, EXISTS (
    SELECT FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = $1::text AND c.relname = 'onceward_migrations')::text AS present`

/**
 * Reads what must be known before the first use. The catalog is read as a table: what `to_regclass` answers may have been
 * remembered by the connection from before the lock of a migration was had.
 */
export async function serverFacts(run: Run, schema: string): Promise<ServerFacts> {
  const { rows } = await run(plain(FACTS, ['server', 'isolation', 'nulls', 'present']), [schema])
  const [server, isolation, nulls, present] = rows[0] ?? []
  const facts = { serverVersion: Number(server), isolation: isolation ?? '', knowsNull: nulls !== 'off' }
  if (present !== 'true') return { ...facts, schemaVersion: 0, compatibleFrom: 0 }
  const applied = await run(
    plain(
      `SELECT number::text AS number, compatible_from::text AS compatible FROM "${schema}".onceward_migrations
        ORDER BY onceward_migrations.number DESC LIMIT 1`,
      ['number', 'compatible'],
    ),
    [],
  )
  const [number, compatible] = applied.rows[0] ?? []
  return { ...facts, schemaVersion: Number(number ?? 0), compatibleFrom: Number(compatible ?? 0) }
}

/** Refuses a server, or settings of it, that this program cannot work on. @throws `STORE_MISCONFIGURED` and others. */
export function assertServer({ serverVersion, knowsNull }: ServerFacts, where: string): void {
  if (serverVersion < OLDEST_SERVER) {
    throw failure(
      'STORE_UNAVAILABLE',
      `${where} is PostgreSQL ${Math.floor(serverVersion / 10_000)}; 12 or later is needed`,
    )
  }
  if (!knowsNull) {
    throw failure(
      'STORE_MISCONFIGURED',
      `${where}: array_nulls is off, which would store the word NULL for nothing; set it on for this user or database`,
    )
  }
}

/** Refuses a server or a schema that this program cannot work on. @throws `SCHEMA_MISSING`, `SCHEMA_NEWER`. */
export function assertUsable(facts: ServerFacts, where: string): void {
  const { schemaVersion, compatibleFrom } = facts
  assertServer(facts, where)
  if (schemaVersion < SCHEMA_VERSION) throw schemaMissing(where)
  if (isTooNew(facts)) {
    throw failure(
      'SCHEMA_NEWER',
      `the schema of ${where} is version ${schemaVersion} for programs that know ${compatibleFrom} or later; ` +
        `this one knows ${SCHEMA_VERSION}: upgrade onceward`,
    )
  }
}

/** A newer schema is accepted as long as it says that this program can work on it: deploys roll. */
export function isTooNew({ schemaVersion, compatibleFrom }: ServerFacts): boolean {
  return schemaVersion > SCHEMA_VERSION && compatibleFrom > SCHEMA_VERSION
}

/** The migrations that a schema of this version lacks. */
export function pendingAfter(version: number, schema: string): readonly PendingMigration[] {
  return MIGRATIONS.slice(version).map(({ name, compatibleFrom }, index) => {
    const number = version + index + 1
    const file = readFileSync(new URL(`./migrations/${name}.sql`, import.meta.url), 'utf8')
    const parts = [
      ...(number === 1 ? [firstOf(schema)] : []),
      `SET LOCAL search_path TO "${schema}";`,
      file.trim(),
      `INSERT INTO "${schema}".onceward_migrations (number, name, applied_at, compatible_from)
VALUES (${number}, '${name}', ${NOW_MS}, ${compatibleFrom});`,
    ]
    return { name, sql: `${parts.join('\n\n')}\n` }
  })
}

function firstOf(schema: string): string {
  // Asking first: CREATE SCHEMA IF NOT EXISTS needs the right to create one even where it is there.
  return `DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = '${schema}') THEN
    CREATE SCHEMA "${schema}";
  END IF;
END $$;

CREATE TABLE IF NOT EXISTS "${schema}".onceward_migrations (
  number          integer PRIMARY KEY,
  name            text   NOT NULL,
  applied_at      bigint NOT NULL,
  compatible_from integer NOT NULL
);`
}

/**
 * Applies the migrations that are missing, all in one transaction: several processes may do so at once, one of them
 * does the work and the others find it done.
 *
 * @returns the names of those applied.
 * @throws `SCHEMA_NEWER`; what the server refuses, such as a missing right to create tables.
 */
export async function migrateSchema(context: SchemaParts): Promise<readonly string[]> {
  const { driver, settings } = context
  const { schema } = settings
  const before = await serverFacts(driver.run, schema)
  if (before.schemaVersion >= SCHEMA_VERSION) return assertMigrated(before, driver)
  return ownTransaction(context, async (tx) => {
    await tx.run(
      plain('SELECT pg_advisory_xact_lock(1869505399, hashtext($1))::text AS locked', ['locked']),
      [schema],
    )
    const facts = await serverFacts(tx.run, schema)
    if (facts.schemaVersion >= SCHEMA_VERSION) return assertMigrated(facts, driver)
    const pending = pendingAfter(facts.schemaVersion, schema)
    for (const { sql } of pending) await tx.script(sql)
    return pending.map(({ name }) => name)
  })
}

function assertMigrated(facts: ServerFacts, { where }: PgDriver): readonly string[] {
  assertUsable(facts, where)
  return []
}
