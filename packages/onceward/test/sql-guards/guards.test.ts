/** The guards of `onceward/sql` in the transactions of every package that they take. */
import { afterAll, beforeAll, describe } from 'vitest'
import { describeWith, type SqlEndpoint, type TestDatabase } from '../../../../test-servers/index.mjs'
import { openSqlite } from '../../src/drivers/sqlite/index.ts'
import type { OpenWay, Way } from '../transactions/way.ts'
import { WAYS_ON_MYSQL } from '../transactions/ways-on-mysql.ts'
import { WAYS_ON_POSTGRES } from '../transactions/ways-on-postgres.ts'
import { guards, tables } from './guard-suite.ts'

describe('guards on SQLite', () => {
  const database = openSqlite(':memory:')
  for (const table of tables('sqlite')) database.exec(table)
  guards(() => ({
    async transaction(work) {
      database.exec('BEGIN IMMEDIATE')
      try {
        const value = await work(database)
        database.exec('COMMIT')
        return value
      } catch (error) {
        database.exec('ROLLBACK')
        throw error
      }
    },
    sql: async (text) => database.prepare(text).all() as Readonly<Record<string, unknown>>[],
  }))
})

function onEachWay(server: SqlEndpoint, dialect: 'postgres' | 'mysql', ways: readonly Way[]): void {
  describe.each(ways.map((one) => [one.name, one] as const))('%s', (_, { open }) => {
    let database: TestDatabase
    let used: OpenWay

    beforeAll(async () => {
      database = await server.createDatabase()
      for (const table of tables(dialect)) await server.query(table, [], database.name)
      used = await open(database.url)
    }, 60_000)
    afterAll(async () => {
      await used?.close()
      await database?.drop()
    })
    guards(() => ({
      transaction: (work) => used.transaction(work),
      sql: (text) => server.query(text, [], database.name),
    }))
  })
}

await describeWith('postgres', 'guards on PostgreSQL', ({ postgres }) => {
  onEachWay(postgres, 'postgres', WAYS_ON_POSTGRES)
})

await describeWith('mariadb', 'guards on MariaDB', ({ mariadb }) => {
  onEachWay(mariadb, 'mysql', WAYS_ON_MYSQL)
})
