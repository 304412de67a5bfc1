import type { SqlDialect } from '../sql/sql-session.ts'
import { type AdaptedSession, type Adapter, asHandle } from './adapted-session.ts'
import { dialectOf } from './dialect-of.ts'
import { drizzleSession } from './drizzle.ts'
import { knexSession } from './knex.ts'
import { kyselySession } from './kysely.ts'
import { mikroOrmSession } from './mikro-orm.ts'
import { mysql2Session } from './mysql2.ts'
import { pgSession } from './pg.ts'
import { postgresJsSession } from './postgres-js.ts'
import { prismaSession } from './prisma.ts'
import { sequelizeSession } from './sequelize.ts'
import { typeormSession } from './typeorm.ts'

/** Query builders and ORMs before drivers, whose methods some of them have too. */
const ADAPTERS: readonly Adapter[] = [
  drizzleSession,
  kyselySession,
  prismaSession,
  typeormSession,
  mikroOrmSession,
  sequelizeSession,
  knexSession,
  postgresJsSession,
  mysql2Session,
  pgSession,
]

const ACCEPTED: Readonly<Record<SqlDialect, string>> = {
  postgres: 'pg, postgres, Drizzle, Kysely, Knex, Prisma, TypeORM, MikroORM or Sequelize on PostgreSQL',
  mysql: 'mysql2, Drizzle, Kysely, Knex, Prisma, TypeORM, MikroORM or Sequelize on MySQL or MariaDB',
  sqlite: 'node:sqlite (`store.database` of a sqliteStore), better-sqlite3 or Drizzle over better-sqlite3',
}

/**
 * Makes a session of a transaction handle of any package that is known, by its shape: nothing is imported.
 *
 * Limit: whether a transaction is open on the bare connection of a driver is for the server to say, at the first statement.
 *
 * @param given - What the handle speaks. Default: what its shape says.
 * @throws `TypeError` that names the mend for a pool, for another root, and for what is no handle of this database.
 */
export function sessionOf(handle: unknown, given?: SqlDialect): AdaptedSession {
  const dialect = given ?? dialectOf(handle)
  const shape = asHandle(handle)
  const open = (driver: unknown) => sessionOf(driver, dialect)
  for (const adapter of shape ? ADAPTERS : []) {
    const session = adapter(shape as NonNullable<typeof shape>, dialect, open)
    if (session) return session
  }
  const accepted = given === undefined ? Object.values(ACCEPTED).join('; of ') : ACCEPTED[given]
  throw new TypeError(`pass the handle of an open transaction: of ${accepted}`)
}
