/** Rows that refuse smaller fences, in the transactions of every package that `fencedRow` takes. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { describeWith, type SqlEndpoint, type TestDatabase } from '../../../../test-servers/index.mjs'
import type { SqlDialect } from '../../src/drivers/sql/index.ts'
import { fencedRow } from '../../src/locks/fenced-row.ts'
import type { OpenWay, Way } from './way.ts'
import { WAYS_ON_MYSQL } from './ways-on-mysql.ts'
import { WAYS_ON_POSTGRES } from './ways-on-postgres.ts'

const FENCE = 1_795_000_000_000_001

function fencedRows(server: SqlEndpoint, dialect: SqlDialect, ways: readonly Way[], id: string): void {
  describe.each(ways.map((one) => [one.name, one] as const))('%s', (_, { open }) => {
    let database: TestDatabase
    let used: OpenWay

    beforeAll(async () => {
      database = await server.createDatabase()
      const table = `CREATE TABLE orders (id ${id} PRIMARY KEY, cart VARCHAR(40) NOT NULL, last_fence bigint)`
      await server.query(table, [], database.name)
      used = await open(database.url)
    }, 60_000)
    afterAll(async () => {
      await used?.close()
      await database?.drop()
    })

    it('writes with the fence of a lock, and refuses a smaller one', async () => {
      await used.transaction((tx) => used.insert(tx, 'a'))
      const write = (fence: number, cart: string) =>
        used.transaction((tx) =>
          fencedRow(tx, { table: 'orders', where: { id: 1 }, set: { cart }, fence, dialect }),
        )
      expect(await write(FENCE, 'first')).toBe('written')
      expect(await write(FENCE - 1, 'late')).toBe('stale')
      expect(await write(FENCE, 'again')).toBe('written')
      expect(await write(FENCE, 'again')).toBe('written')
      expect(await server.query('SELECT cart, last_fence FROM orders', [], database.name)).toEqual([
        { cart: 'again', last_fence: expect.toSatisfy((last) => Number(last) === FENCE) },
      ])
    })
  })
}

await describeWith('postgres', 'rows with fences on PostgreSQL', ({ postgres }) => {
  fencedRows(postgres, 'postgres', WAYS_ON_POSTGRES, 'serial')
})

await describeWith('mariadb', 'rows with fences on MariaDB', ({ mariadb }) => {
  fencedRows(mariadb, 'mysql', WAYS_ON_MYSQL, 'integer AUTO_INCREMENT')
})
