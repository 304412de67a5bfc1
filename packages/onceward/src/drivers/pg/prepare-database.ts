import type { Run } from './pg-driver.ts'
import { isSchemaMissing } from './pg-errors.ts'
import {
  assertServer,
  assertUsable,
  migrateSchema,
  SCHEMA_VERSION,
  type SchemaParts,
  serverFacts,
} from './schema.ts'

/** The first use of a database, and how statements run on it from then on. */
export interface PreparedDatabase {
  /** Sees to the schema, once. A failure is tried again by the next caller. */
  await(): Promise<void>
  /** Runs one statement by itself under READ COMMITTED. */
  readonly run: Run
}

/** Brings a database up, once, however many callers come at the same time. */
export function prepareDatabase(parts: SchemaParts, autoMigrate: boolean): PreparedDatabase {
  const { driver, settings } = parts
  let running: Promise<void> | undefined
  let ready = false
  /** Whether a statement by itself runs under READ COMMITTED on this server. */
  let plainly = true

  const inTransaction: Run = (statement, values) => driver.transaction(({ run }) => run(statement, values))
  const prepare = async () => {
    const facts = await serverFacts(driver.run, settings.schema)
    if (autoMigrate && facts.schemaVersion < SCHEMA_VERSION) {
      assertServer(facts, driver.where)
      await migrateSchema(parts)
    } else assertUsable(facts, driver.where)
    plainly = facts.isolation === 'read committed'
    ready = true
  }
  return {
    await() {
      if (ready) return Promise.resolve()
      running ??= prepare().finally(() => {
        running = undefined
      })
      return running
    },
    async run(statement, values) {
      try {
        return await (plainly ? driver.run(statement, values) : inTransaction(statement, values))
      } catch (error) {
        // Somebody has dropped the tables: the next caller looks again.
        if (isSchemaMissing(error)) ready = false
        throw error
      }
    },
  }
}
