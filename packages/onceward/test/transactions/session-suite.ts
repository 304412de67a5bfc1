import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { SqlEndpoint, TestDatabase } from '../../../../test-servers/index.mjs'
import { type Joining, joining } from '../../src/drivers/adapt/index.ts'
import { conflictOf, type SqlDialect, type SqlValue } from '../../src/drivers/sql/index.ts'
import type { OpenWay, Way } from './way.ts'

/** What differs between the two kinds of servers. */
export interface Dialect {
  readonly dialect: SqlDialect
  /** Makes the table `orders`, which refuses the cart `deadlock` as a server refuses the victim of a deadlock. */
  readonly tables: readonly string[]
  /** Takes text, a whole number, a truth and bytes, and answers them under the names `some_text`… */
  readonly echo: string
  readonly insert: string
  /** A statement that the server refuses. */
  readonly wrong: string
}

/** What every package must do alike. */
export function sessionSuite(server: SqlEndpoint, ways: readonly Way[], given: Dialect): void {
  describe.each(ways.map((one) => [one.name, one] as const))('%s', (_, { open }) => {
    let database: TestDatabase
    let used: OpenWay
    let joined: Joining

    beforeAll(async () => {
      database = await server.createDatabase()
      for (const table of given.tables) await server.query(table, [], database.name)
      used = await open(database.url)
    }, 60_000)
    afterAll(async () => {
      await used?.close()
      await database?.drop()
    })

    const rows = async () =>
      (await server.query('SELECT cart FROM orders ORDER BY id', [], database.name)).map((row) => row['cart'])
    const fresh = () => {
      joined = joining(given.dialect)
      return joined
    }

    it('carries values and column names through, whatever the package makes of them', async () => {
      const text = 'a \\ \' " ; -- {x} ? $1 \u{1f600} line\nbreak \\n'
      const bytes = Uint8Array.from({ length: 256 }, (_value, index) => index)
      const values: readonly SqlValue[] = [text, 1_795_000_000_000_001, true, bytes]
      const read = await used.transaction(async (tx) => {
        const session = fresh().sessionOf(tx)
        return [
          await session.query(given.echo, values),
          await session.query(given.echo, [null, null, null, null]),
        ]
      })
      const [row] = read[0]?.rows ?? []
      expect(row?.['some_text']).toBe(text)
      expect(Number(row?.['a_number'])).toBe(1_795_000_000_000_001)
      expect(String(row?.['a_truth'])).toMatch(/^(?:t|true|1)$/)
      expect(row?.['some_bytes']).toBeInstanceOf(Uint8Array)
      expect(Buffer.from(row?.['some_bytes'] as Uint8Array)).toEqual(Buffer.from(bytes))
      expect(read[1]?.rows).toEqual([{ some_text: null, a_number: null, a_truth: null, some_bytes: null }])
    })

    it('writes in the transaction of the package, and tells how many rows', async () => {
      const failure = new Error('declined')
      const lost = used.transaction(async (tx) => {
        await fresh().sessionOf(tx).query(given.insert, ['lost'])
        throw failure
      })
      await expect(lost).rejects.toThrow('declined')
      const affected = await used.transaction(async (tx) => {
        await used.insert(tx, 'theirs')
        return (await fresh().sessionOf(tx).query(given.insert, ['ours'])).affected
      })
      expect(affected).toBe(1)
      expect(await rows()).toEqual(['theirs', 'ours'])
    })

    it('undoes what was written under a savepoint, and only that', async () => {
      await used.transaction(async (tx) => {
        const { savepoint, sessionOf } = fresh()
        const write = (cart: string) => sessionOf(tx).query(given.insert, [cart])
        const undone = savepoint(tx, async () => {
          await write('undone')
          await savepoint(tx, () => write('undone too'))
          throw new Error('inside')
        })
        await expect(undone).rejects.toThrow('inside')
        const refused = savepoint(tx, () => sessionOf(tx).query(given.wrong, []))
        await expect(refused).rejects.toThrow()
        expect(await savepoint(tx, async () => (await write('kept')).affected)).toBe(1)
      })
      expect(await rows()).toEqual(['theirs', 'ours', 'kept'])
    })

    it('lets an open transaction pass and refuses one that has ended', async () => {
      let ended: unknown
      await used.transaction(async (tx) => {
        await fresh().assertInTransaction(tx)
        ended = tx
      })
      await expect(async () => joined.assertInTransaction(ended)).rejects.toBeInstanceOf(TypeError)
    })

    it('refuses what is no transaction, and names the mend', async () => {
      for (const { what, handle, mend } of used.roots) {
        const { assertInTransaction, savepoint } = fresh()
        const asked = async () => assertInTransaction(handle)
        await expect(asked(), what).rejects.toThrow(mend)
        await expect(asked(), what).rejects.toBeInstanceOf(TypeError)
        await expect(
          savepoint(handle, async () => 1),
          what,
        ).rejects.toBeInstanceOf(TypeError)
      }
    })

    it('tells a deadlock, however the package wraps it', async () => {
      const own = used.transaction((tx) => used.insert(tx, 'deadlock'))
      expect(conflictOf(await own.catch((error: unknown) => error))).toMatch(/deadlock|serialization/)
      const ours = used.transaction((tx) => fresh().sessionOf(tx).query(given.insert, ['deadlock']))
      expect(conflictOf(await ours.catch((error: unknown) => error))).toMatch(/deadlock|serialization/)
      const other = used.transaction((tx) => fresh().sessionOf(tx).query(given.wrong, []))
      const error = await other.catch((thrown: unknown) => thrown)
      expect(error).toBeInstanceOf(Error)
      expect(conflictOf(error)).toBeUndefined()
    })
  })
}
