/** The SQLite store on the drivers that this Node can load. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { createOnce } from 'onceward'
import { sqliteStore } from 'onceward/sqlite'

const MAJOR = Number(process.versions.node.split('.')[0])

/** How the store is opened, and why it is not on this Node. */
const WAYS = [
  { name: 'a path', open: async (file) => file },
  {
    name: 'a handle of node:sqlite',
    skip: MAJOR < 22 && 'elsewhere: on Node 22 and 24, which have it built in',
    open: async (file) => new (process.getBuiltinModule('node:sqlite').DatabaseSync)(file),
  },
  {
    name: 'a handle of better-sqlite3',
    skip: MAJOR < 22 && 'elsewhere: on Node 22 and 24, which it needs',
    open: async (file) => new (await import('better-sqlite3')).default(file),
  },
]

for (const { name, skip, open } of WAYS) {
  test(`an outcome survives the process: opened by ${name}`, { skip }, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'onceward-smoke-'))
    try {
      let effects = 0
      for (const round of [1, 2]) {
        const handle = await open(join(folder, 'store.sqlite'))
        const store = sqliteStore(handle)
        await store.migrate()
        const once = createOnce({ store, scope: 'smoke' })
        const value = await once.run({ key: 'order-1' }, () => {
          effects++
          return { round, at: new Date(0) }
        })
        assert.deepEqual(value, { round: 1, at: new Date(0) })
        await once.close()
        await store.close()
        if (typeof handle !== 'string') handle.close()
      }
      assert.equal(effects, 1)
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })

  test(`a business write and its record commit together: opened by ${name}`, { skip }, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'onceward-smoke-'))
    const handle = await open(join(folder, 'store.sqlite'))
    const store = sqliteStore(handle)
    try {
      await store.migrate()
      const once = createOnce({ store, scope: 'smoke' })
      await once.transaction({ key: 'setup' }, (tx) => void tx.exec('CREATE TABLE orders (id TEXT)'))
      const place = () =>
        once.transaction({ key: 'place' }, (tx) => {
          tx.exec(`INSERT INTO orders VALUES ('a')`)
          return 'placed'
        })
      assert.deepEqual(await Promise.all([place(), place()]), ['placed', 'placed'])
      const count = await once.transaction({ key: 'count' }, (tx) =>
        tx.prepare('SELECT count(*) AS n FROM orders').get(),
      )
      assert.equal(Number(count.n), 1)
    } finally {
      await store.close()
      if (typeof handle !== 'string') handle.close()
      rmSync(folder, { recursive: true, force: true })
    }
  })
}
