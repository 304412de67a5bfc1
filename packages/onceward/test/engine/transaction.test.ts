import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createOnce, finalFailure, type Once } from '../../src/core/index.ts'
import { type SqliteHandle, type SqliteStore, sqliteStore } from '../../src/stores/sqlite/index.ts'

let folder: string
let store: SqliteStore
let once: Once

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'onceward-transaction-'))
  store = sqliteStore(join(folder, 'shop.sqlite'))
  await store.migrate()
  store.database.exec('CREATE TABLE orders (id INTEGER PRIMARY KEY, cart TEXT NOT NULL)')
  once = createOnce({ store, scope: 'shop', cache: false })
})

afterEach(async () => {
  await store.close()
  rmSync(folder, { recursive: true })
})

const orders = () => store.database.prepare('SELECT cart FROM orders').all()
const insert = (tx: SqliteHandle, cart: string) => {
  tx.prepare('INSERT INTO orders (cart) VALUES (?)').run(cart)
  return { cart }
}

describe('transaction', () => {
  it('commits the record, the business write and the outcome together, once', async () => {
    const place = () =>
      once.transaction({ key: 'cart-1', input: 'a' }, (tx: SqliteHandle, op) => ({
        ...insert(tx, 'a'),
        fence: op.fence,
      }))
    const [first, second] = await Promise.all([place(), place()])
    expect(second).toEqual(first)
    expect(await place()).toEqual(first)
    expect(orders()).toHaveLength(1)
    expect(await once.get('cart-1')).toMatchObject({ state: 'done', attempt: 1 })
  })

  it('rolls everything back when the work throws, and runs again on the next call', async () => {
    const failing = once.transaction({ key: 'k' }, (tx: SqliteHandle) => {
      insert(tx, 'lost')
      throw new Error('declined')
    })
    await expect(failing).rejects.toThrow('declined')
    expect(orders()).toHaveLength(0)
    expect(await once.get('k')).toBeUndefined()
    expect(await once.transaction({ key: 'k' }, (tx: SqliteHandle) => insert(tx, 'kept'))).toEqual({
      cart: 'kept',
    })
  })

  it('remembers a final failure although its writes are rolled back', async () => {
    const failing = () =>
      once.transaction({ key: 'k' }, (tx: SqliteHandle) => {
        insert(tx, 'lost')
        throw finalFailure(new Error('sold out'))
      })
    await expect(failing()).rejects.toMatchObject({ code: 'OPERATION_FAILED', effect: 'none' })
    await expect(failing()).rejects.toMatchObject({
      code: 'OPERATION_FAILED',
      cause: { message: 'sold out' },
    })
    expect(orders()).toHaveLength(0)
  })

  it('refuses asynchronous work instead of committing before it has finished', async () => {
    const early = once.transaction({ key: 'k' }, async (tx: SqliteHandle) => insert(tx, 'early'))
    await expect(early).rejects.toThrow(/synchronous/)
    expect(orders()).toHaveLength(0)
    expect(await once.get('k')).toBeUndefined()
  })

  it('refuses the key of another input and tells a held one', async () => {
    await once.transaction({ key: 'k', input: 1 }, (tx: SqliteHandle) => insert(tx, 'a'))
    await expect(once.transaction({ key: 'k', input: 2 }, () => 1)).rejects.toMatchObject({
      code: 'KEY_REUSED',
    })
    await expect(once.run({ key: 'h' }, () => Promise.reject(new Error('boom')))).rejects.toMatchObject({
      effect: 'unknown',
    })
    await expect(once.transaction({ key: 'h' }, () => 1)).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' })
    expect(orders()).toHaveLength(1)
  })

  it('refuses its own key inside its work', async () => {
    const work = once.transaction({ key: 'k' }, (tx: SqliteHandle) =>
      once.withinSync(tx, { key: 'k' }, () => 1),
    )
    await expect(work).rejects.toMatchObject({ code: 'REENTRANT' })
  })
})

describe('within', () => {
  const begin = () => store.database.exec('BEGIN IMMEDIATE')
  const end = (how: 'COMMIT' | 'ROLLBACK') => store.database.exec(how)

  it('joins the transaction of the caller: both commit', async () => {
    begin()
    const value = await once.within(store.database, { key: 'k' }, () => insert(store.database, 'a'))
    end('COMMIT')
    expect(value).toEqual({ cart: 'a' })
    expect(await once.run({ key: 'k' }, () => 'again')).toEqual({ cart: 'a' })
  })

  it('joins the transaction of the caller: both roll back', async () => {
    begin()
    once.withinSync(store.database, { key: 'k' }, () => insert(store.database, 'a'))
    end('ROLLBACK')
    expect(orders()).toHaveLength(0)
    expect(await once.run({ key: 'k' }, () => 'first')).toBe('first')
  })

  it('undoes only its own writes when its work throws', async () => {
    begin()
    insert(store.database, 'kept')
    const work = () =>
      once.withinSync(store.database, { key: 'k' }, () => {
        insert(store.database, 'lost')
        throw new Error('declined')
      })
    expect(work).toThrow('declined')
    end('COMMIT')
    expect(orders()).toEqual([expect.objectContaining({ cart: 'kept' })])
    expect(await once.get('k')).toBeUndefined()
  })

  it('refuses a handle on which no transaction is open, and names the mend', async () => {
    await expect(once.within(store.database, { key: 'k' }, () => 1)).rejects.toThrow(/BEGIN/)
    expect(await once.get('k')).toBeUndefined()
  })

  it('replays inside a transaction what an earlier one has committed', async () => {
    await once.run({ key: 'k' }, () => new Date(3))
    begin()
    expect(await once.within(store.database, { key: 'k' }, () => 'again')).toEqual(new Date(3))
    end('COMMIT')
  })
})
