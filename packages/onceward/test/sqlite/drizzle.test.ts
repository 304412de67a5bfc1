import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'drizzle-orm'
import { describe, expect, it } from 'vitest'
import { createOnce } from '../../src/core/index.ts'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'

/** better-sqlite3 13 stops the whole process on Node.js 20. */
const able = Number(process.versions.node.split('.')[0]) >= 22

const title = able ? '' : ' [skipped: better-sqlite3 needs Node.js 22, where a lane runs it]'

describe.skipIf(!able)(`Drizzle over better-sqlite3${title}`, () => {
  const opened = async <T>(use: (parts: Awaited<ReturnType<typeof open>>) => Promise<T> | T): Promise<T> => {
    const folder = mkdtempSync(join(tmpdir(), 'onceward-drizzle-'))
    const parts = await open(join(folder, 'shop.sqlite'))
    try {
      return await use(parts)
    } finally {
      await parts.store.close()
      parts.database.close()
      rmSync(folder, { recursive: true })
    }
  }
  const open = async (path: string) => {
    const { default: Database } = await import('better-sqlite3')
    const { drizzle } = await import('drizzle-orm/better-sqlite3')
    const database = new Database(path)
    const store = sqliteStore(database)
    await store.migrate()
    database.exec('CREATE TABLE orders (cart TEXT)')
    const db = drizzle({ client: database })
    const once = createOnce({ store, scope: 'shop', cache: false })
    return { database, store, db, once, orders: () => db.all(sql`SELECT cart FROM orders`) }
  }

  it('commits record and order together, and replays', () =>
    opened(({ db, once, orders }) => {
      const place = () =>
        db.transaction((tx) =>
          once.withinSync(tx, { key: 'k' }, () => {
            tx.run(sql`INSERT INTO orders VALUES ('a')`)
            return new Date(3)
          }),
        )
      expect([place(), place()]).toEqual([new Date(3), new Date(3)])
      expect(orders()).toEqual([{ cart: 'a' }])
    }))

  it('rolls both back, and undoes under a savepoint only what the work wrote', () =>
    opened(async ({ db, once, orders }) => {
      db.transaction((tx) => {
        tx.run(sql`INSERT INTO orders VALUES ('kept')`)
        const work = () =>
          once.withinSync(tx, { key: 'k' }, () => {
            tx.run(sql`INSERT INTO orders VALUES ('lost')`)
            throw new Error('declined')
          })
        expect(work).toThrow('declined')
      })
      expect(orders()).toEqual([{ cart: 'kept' }])
      expect(await once.get('k')).toBeUndefined()
    }))

  it('refuses the database itself, and names the mend', () =>
    opened(({ db, once }) => {
      expect(() => once.withinSync(db, { key: 'k' }, () => 1)).toThrow(/db\.transaction/)
    }))
})
