import { describe, expect, it } from 'vitest'
import type { SqliteHandle, SqliteStatement } from '../../src/drivers/sqlite/index.ts'
import { type SqliteStore, sqliteStore } from '../../src/stores/sqlite/index.ts'
import { asks, claimed, closing, count, DAY_MS, freshId, opened, temporaryFile, value } from './sqlite-kit.ts'

/** A handle that counts its commits, and lets one fail. */
function watched(handle: SqliteHandle): SqliteHandle & { commits: number; failCommit?: Error } {
  const spy: SqliteHandle & { commits: number; failCommit?: Error } = {
    commits: 0,
    exec: (sql) => handle.exec(sql),
    close: () => handle.close(),
    get isTransaction() {
      return handle.isTransaction ?? handle.inTransaction ?? false
    },
    prepare(sql): SqliteStatement {
      const statement = handle.prepare(sql)
      if (sql !== 'COMMIT') return statement
      return {
        get: (...values) => statement.get(...values),
        all: (...values) => statement.all(...values),
        run(...values) {
          const { failCommit } = spy
          delete spy.failCommit
          if (failCommit) throw failCommit
          spy.commits++
          return statement.run(...values)
        },
      }
    },
  }
  return spy
}

async function storeOn(path: string): Promise<{ store: SqliteStore; spy: ReturnType<typeof watched> }> {
  const spy = watched(opened(path))
  spy.exec('PRAGMA journal_mode = WAL')
  const store = closing(sqliteStore<SqliteHandle>(spy))
  await store.migrate()
  await store.stats()
  spy.commits = 0
  return { store, spy }
}

describe('group commit', () => {
  it('commits what is asked for in one turn of the event loop at once', async () => {
    const { store, spy } = await storeOn(temporaryFile())
    const ids = Array.from({ length: 100 }, freshId)
    const claims = await Promise.all(ids.map((id) => claimed(store, id)))
    expect(spy.commits).toBe(1)
    await Promise.all(claims.map((claim) => store.complete(claim, value(claim.id.key), DAY_MS)))
    expect(spy.commits).toBe(2)
    for (const id of ids) expect((await store.get(id))?.outcome).toEqual(value(id.key))
  })

  it('answers a lone transition without any timer, in a commit of its own', async () => {
    const path = temporaryFile()
    await storeOn(path)
    const spy = watched(opened(path))
    const timers = {
      after(): never {
        throw new Error('nothing is to be waited for')
      },
    }
    const store = closing(sqliteStore<SqliteHandle>(spy, { timers }))
    await store.stats()
    const claim = await claimed(store, freshId())
    expect(spy.commits).toBe(1)
    await store.complete(claim, value('receipt'), DAY_MS)
    expect(spy.commits).toBe(2)
  })

  it('commits at most maxBatch transitions together', async () => {
    const path = temporaryFile()
    await storeOn(path)
    const spy = watched(opened(path))
    const store = closing(sqliteStore<SqliteHandle>(spy, { maxBatch: 10 }))
    await store.stats()
    await Promise.all(Array.from({ length: 35 }, () => claimed(store, freshId())))
    expect(spy.commits).toBe(4)
  })

  it('shows a transition what those before it in the batch have written', async () => {
    const { store, spy } = await storeOn(temporaryFile())
    const id = freshId()
    const claim = await claimed(store, id)
    spy.commits = 0
    const [done, replay, again] = await Promise.all([
      store.complete(claim, value('receipt'), DAY_MS),
      store.claim(asks(id, 'somebody else')),
      store.complete(claim, value('another'), DAY_MS),
    ])
    expect(spy.commits).toBe(1)
    expect(done).toBe(true)
    expect(replay).toMatchObject({ state: 'done', outcome: value('receipt') })
    expect(again).toBe(true)
    expect((await store.get(id))?.outcome).toEqual(value('receipt'))
  })

  it('commits the others without a transition whose record cannot be read', async () => {
    const path = temporaryFile()
    const { store, spy } = await storeOn(path)
    const [broken, sound] = [freshId(), freshId()]
    await claimed(store, broken)
    opened(path).prepare("UPDATE onceward_operations SET body = '[]' WHERE digest = ?").run(broken.digest)
    spy.commits = 0
    const [refused, granted] = await Promise.allSettled([
      store.claim(asks(broken, 'other')),
      store.claim(asks(sound)),
    ])
    expect(spy.commits).toBe(1)
    expect(refused).toMatchObject({
      status: 'rejected',
      reason: { code: 'STORE_CORRUPT', effect: 'unknown' },
    })
    expect(granted).toMatchObject({ status: 'fulfilled', value: { state: 'claimed' } })
    expect(await store.get(sound)).toMatchObject({ state: 'running' })
  })

  it('commits the others without a transition that SQLite refuses to write', async () => {
    const path = temporaryFile()
    const { store } = await storeOn(path)
    const [large, small] = [await claimed(store, freshId()), await claimed(store, freshId())]
    const pages = count(store.database, 'PRAGMA page_count')
    store.database.exec(`PRAGMA max_page_count = ${pages + 20}`)
    const [refused, stored] = await Promise.allSettled([
      store.complete(large, { kind: 'value', value: new Uint8Array(1_000_000) }, DAY_MS),
      store.complete(small, value('small'), DAY_MS),
    ])
    expect(refused).toMatchObject({ status: 'rejected', reason: { code: 'STORE_FULL', effect: 'none' } })
    expect(stored).toEqual({ status: 'fulfilled', value: true })
    expect(await store.get(small.id)).toMatchObject({ state: 'done' })
    expect(await store.get(large.id)).toMatchObject({ state: 'running' })
  })

  it('tells everybody when the commit fails, stores nothing of it, and takes the retry', async () => {
    const { store, spy } = await storeOn(temporaryFile())
    const ids = [freshId(), freshId(), freshId()]
    spy.failCommit = Object.assign(new Error('disk I/O error'), { errcode: 10 })
    const replies = await Promise.allSettled(ids.map((id) => store.claim(asks(id))))
    for (const reply of replies) {
      expect(reply).toMatchObject({
        status: 'rejected',
        reason: { code: 'STORE_UNAVAILABLE', effect: 'none', retryable: true },
      })
    }
    for (const id of ids) expect(await store.get(id)).toBeUndefined()
    for (const id of ids) expect(await store.claim(asks(id))).toMatchObject({ state: 'claimed' })
  })

  it('commits again when readers kept a commit from happening', async () => {
    const { store, spy } = await storeOn(temporaryFile())
    spy.failCommit = Object.assign(new Error('database is locked'), { errcode: 5 })
    expect(await store.claim(asks(freshId()))).toMatchObject({ state: 'claimed' })
  })

  it('believes nothing it remembers once another connection has written', async () => {
    const path = temporaryFile()
    const [{ store: a }, { store: b }] = [await storeOn(path), await storeOn(path)]
    const claim = await claimed(a, freshId())
    expect(await b.hold(claim, 'decided elsewhere')).toBe(true)
    expect(await a.complete(claim, value('late'), DAY_MS)).toBe(false)
    expect(await a.get(claim.id)).toMatchObject({ state: 'held' })
  })

  it('believes nothing it remembers once another store has written on the same handle', async () => {
    const handle = opened(temporaryFile())
    const [a, b] = [closing(sqliteStore(handle)), closing(sqliteStore(handle))]
    await a.migrate()
    const claim = await claimed(a, freshId())
    expect(await b.hold(claim, 'decided elsewhere')).toBe(true)
    expect(await a.complete(claim, value('late'), DAY_MS)).toBe(false)
  })
})

describe('a locked database', () => {
  it('is waited for while the event loop goes on', async () => {
    const path = temporaryFile()
    const { store } = await storeOn(path)
    const other = opened(path)
    other.exec('BEGIN IMMEDIATE')
    const asked = store.claim(asks(freshId()))
    const turns = await new Promise<number>((resolve) => {
      let turned = 0
      const turn = () => (++turned === 200 ? resolve(turned) : setImmediate(turn))
      turn()
    })
    other.exec('COMMIT')
    expect(turns).toBe(200)
    expect(await asked).toMatchObject({ state: 'claimed' })
  })

  it('is waited for no longer than busyTimeoutMs', async () => {
    const path = temporaryFile()
    const store = closing(sqliteStore(path, { busyTimeoutMs: 60 }))
    await store.migrate()
    const other = opened(path)
    other.exec('BEGIN IMMEDIATE')
    for (const call of [
      () => store.claim(asks(freshId())),
      () => store.sweep(),
      () => store.purge(),
      () => store.transaction(() => 'never'),
    ]) {
      await expect(call()).rejects.toMatchObject({
        code: 'STORE_UNAVAILABLE',
        effect: 'none',
        retryable: true,
        message: expect.stringContaining(`${path} was locked for 60 ms: another connection`),
      })
    }
    other.exec('ROLLBACK')
    expect(await store.claim(asks(freshId()))).toMatchObject({ state: 'claimed' })
  })

  it('names a transaction that was left open on the handle itself, and never joins it', async () => {
    const handle = opened(temporaryFile())
    const store = closing(sqliteStore(handle, { busyTimeoutMs: 60 }))
    await store.migrate()
    const id = freshId()
    handle.exec('BEGIN')
    await expect(store.claim(asks(id))).rejects.toThrow('a transaction is open on the very handle')
    handle.exec('ROLLBACK')
    expect(await store.get(id)).toBeUndefined()
  })

  it('does not stop the event loop on a handle that was opened with a long busy timeout, and keeps that timeout', async () => {
    const path = temporaryFile()
    const handle = opened(path)
    handle.exec('PRAGMA journal_mode = WAL; PRAGMA busy_timeout = 30000')
    const store = closing(sqliteStore(handle, { busyTimeoutMs: 60 }))
    await store.migrate()
    const other = opened(path)
    other.exec('BEGIN IMMEDIATE')
    await expect(store.claim(asks(freshId()))).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    expect(count(handle, 'PRAGMA busy_timeout')).toBe(30_000)
  })
})
