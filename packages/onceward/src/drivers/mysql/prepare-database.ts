import { failure, mysqlFailure } from './mysql-errors.ts'
import type { MysqlSession } from './mysql-session.ts'
import type { OwnParts } from './own-statements.ts'
import { assertUsable, foundSchema, migrateSchema, SCHEMA_VERSION } from './schema.ts'

/** The first use of a database. */
export interface PreparedDatabase {
  isReady(): boolean
  /** Sees to the schema and reads the limits of the server. A failure is tried again by the next caller. */
  await(): Promise<void>
  /** The most bytes that the server takes in one statement (`max_allowed_packet`). */
  maxPacket(): number
}

/** MySQL 4.0's; every server that is supported has more. */
const LEAST_PACKET = 1024 * 1024

const LIMITS =
  'SELECT @@max_allowed_packet AS packet, @@autocommit AS autocommit, @@sql_safe_updates AS safe, ' +
  '@@sql_big_selects AS joins, @@sql_select_limit < 1000000 AS limited'

/** Brings a database up, once, however many callers come at the same time. */
export function prepareDatabase(parts: OwnParts, autoMigrate: boolean): PreparedDatabase {
  const { driver } = parts
  let ready = false
  let running: Promise<void> | undefined
  let maxPacket = LEAST_PACKET
  const prepare = async () => {
    const look = async (session: MysqlSession) => {
      const [limits] = (await session.query(LIMITS)).rows
      return { limits, schema: await foundSchema(session) }
    }
    try {
      const { limits, schema } = await driver.use(look)
      if (Number(limits?.['autocommit']) !== 1) {
        throw failure(
          'STORE_UNAVAILABLE',
          `${driver.where}: autocommit is off on the connections of the pool; leave it on, and begin transactions with BEGIN`,
        )
      }
      if (
        Number(limits?.['safe']) !== 0 ||
        Number(limits?.['joins']) !== 1 ||
        Number(limits?.['limited']) !== 0
      ) {
        throw failure(
          'STORE_MISCONFIGURED',
          `${driver.where}: the connections of the pool refuse or cut short what has to be done; leave sql_safe_updates off, sql_big_selects on, and max_join_size and sql_select_limit at their defaults`,
        )
      }
      maxPacket = Number(limits?.['packet'])
      if (schema.version < SCHEMA_VERSION && autoMigrate) await migrateSchema(parts)
      else assertUsable(schema, driver.where)
      ready = true
    } catch (error) {
      running = undefined
      throw mysqlFailure(error, driver.where)
    }
  }
  return {
    isReady: () => ready,
    maxPacket: () => maxPacket,
    await() {
      running ??= prepare()
      return running
    },
  }
}
