import { describe, expect, it } from 'vitest'
import { createOnce } from '../../src/core/create-once.ts'
import { operationId } from '../../src/core/identity.ts'
import type { SqliteHandle } from '../../src/drivers/sqlite/index.ts'
import { type SqliteStore, sqliteStore } from '../../src/stores/sqlite/index.ts'
import { asks, claimed, closing, count, DAY_MS, freshId, opened, temporaryFile, value } from './sqlite-kit.ts'

async function storeWithOrders(path: string): Promise<SqliteStore> {
  const store = closing(sqliteStore(path))
  await store.migrate()
  store.database.exec('CREATE TABLE IF NOT EXISTS orders (id TEXT)')
  return store
}

const order = (tx: SqliteHandle, id: string) => void tx.prepare('INSERT INTO orders VALUES (?)').run(id)
const orders = (handle: SqliteHandle) => count(handle, 'SELECT count(*) FROM orders')

describe('a transaction with the business write', () => {
  it('commits record, write and outcome together, and replays from then on', async () => {
    const store = await storeWithOrders(temporaryFile())
    const once = createOnce({ store, scope: 'shop' })
    const place = () =>
      once.transaction({ key: 'order-1' }, (tx: SqliteHandle, op) => {
        order(tx, 'order-1')
        return { placed: op.attempt }
      })
    const answers = await Promise.all([place(), place(), place()])
    expect(answers).toEqual([{ placed: 1 }, { placed: 1 }, { placed: 1 }])
    expect(orders(store.database)).toBe(1)
  })

  it('refuses a body that returns a promise, before anything is committed, and handles its rejection', async () => {
    const store = await storeWithOrders(temporaryFile())
    const body = async (tx: SqliteHandle) => {
      order(tx, 'too early')
      throw new Error('nobody sees this one')
    }
    await expect(store.transaction(body)).rejects.toThrow(/must be synchronous.*once\.run\(\)/)
    await expect(store.transaction(body)).rejects.toBeInstanceOf(TypeError)
    expect(orders(store.database)).toBe(0)
    const once = createOnce({ store, scope: 'shop' })
    await expect(once.transaction({ key: 'order-1' }, body)).rejects.toBeInstanceOf(TypeError)
    expect(orders(store.database)).toBe(0)
    expect(await store.get(operationId('shop', 'order-1'))).toBeUndefined()
  })

  it('passes on what the business write throws, as it is', async () => {
    const store = await storeWithOrders(temporaryFile())
    const wrong = store.transaction((tx) => tx.exec('INSERT INTO nowhere VALUES (1)'))
    await expect(wrong).rejects.toThrow(/no such table: nowhere/)
    await expect(wrong).rejects.not.toHaveProperty('effect')
    expect(await store.claim(asks(freshId()))).toMatchObject({ state: 'claimed' })
  })

  it('refuses a body that ends the transaction itself', async () => {
    const store = await storeWithOrders(temporaryFile())
    const ended = store.transaction((tx) => tx.exec('COMMIT'))
    await expect(ended).rejects.toThrow(/leave COMMIT and ROLLBACK/)
    // What was committed is not undone, so nothing may say that it had no effect, or that a retry is harmless.
    await expect(ended).rejects.toThrow(TypeError)
  })

  it('wakes those who wait for the record, in this process at once', async () => {
    const store = await storeWithOrders(temporaryFile())
    const claim = await claimed(store, freshId())
    const woken = store.watch(claim.id, AbortSignal.timeout(15_000)).then(() => store.get(claim.id))
    await store.transaction((tx) => store.completeIn(tx, claim, value('receipt'), DAY_MS))
    expect(await woken).toMatchObject({ state: 'done' })
  })
})

describe('a transaction of the caller', () => {
  it('may be open on another handle of the same file: nothing is seen before it commits', async () => {
    const path = temporaryFile()
    const store = await storeWithOrders(path)
    const once = createOnce({ store, scope: 'shop' })
    const mine = opened(path)
    mine.exec('BEGIN IMMEDIATE')
    const answer = once.within(mine, { key: 'order-1' }, () => {
      order(mine, 'order-1')
      return 'placed'
    })
    expect(answer instanceof Promise ? await answer : answer).toBe('placed')
    expect(await store.get(operationId('shop', 'order-1'))).toBeUndefined()
    expect(orders(store.database)).toBe(0)
    mine.exec('COMMIT')
    expect(orders(store.database)).toBe(1)
    expect(await once.run({ key: 'order-1' }, () => 'again')).toBe('placed')
  })

  it('takes everything back when it rolls back', async () => {
    const path = temporaryFile()
    const store = await storeWithOrders(path)
    const mine = opened(path)
    const id = freshId()
    mine.exec('BEGIN')
    expect(store.claimIn(mine, asks(id))).toMatchObject({ state: 'claimed' })
    mine.exec('ROLLBACK')
    expect(await store.claim(asks(id, 'somebody else'))).toMatchObject({
      state: 'claimed',
      claim: { attempt: 1 },
    })
  })

  it('answers at once, and never a promise', async () => {
    const store = await storeWithOrders(temporaryFile())
    await store.transaction((tx) => {
      const reply = store.claimIn(tx, asks(freshId()))
      if (reply.state !== 'claimed') throw new Error(reply.state)
      expect(store.completeIn(tx, reply.claim, value('receipt'), DAY_MS)).toBe(true)
      expect(store.savepoint(tx, () => 7)).toBe(7)
    })
  })

  it('must be open: a bare handle is refused with the mend', async () => {
    const path = temporaryFile()
    const store = await storeWithOrders(path)
    const mine = opened(path)
    for (const call of [
      () => store.assertInTransaction(mine),
      () => store.claimIn(mine, asks(freshId())),
      () => store.savepoint(mine, () => {}),
    ]) {
      expect(call).toThrow(TypeError)
      expect(call).toThrow(/BEGIN IMMEDIATE/)
    }
    expect(() => store.assertInTransaction({} as SqliteHandle)).toThrow(/give the open database/)
    mine.exec('BEGIN')
    expect(() => store.assertInTransaction(mine)).not.toThrow()
    mine.exec('ROLLBACK')
  })

  it('must be on a database with the schema', async () => {
    const store = await storeWithOrders(temporaryFile())
    const elsewhere = opened(temporaryFile())
    elsewhere.exec('BEGIN IMMEDIATE')
    expect(() => store.claimIn(elsewhere, asks(freshId()))).toThrow(/no up-to-date schema/)
    elsewhere.exec('ROLLBACK')
  })

  it('begun without the write lock is given it before the claim looks, so that nobody writes in between', async () => {
    const path = temporaryFile()
    await storeWithOrders(path)
    const [mine, theirs] = [opened(path), opened(path)]
    let refused: unknown
    const clock = {
      now() {
        try {
          theirs.exec('BEGIN IMMEDIATE')
          theirs.exec('ROLLBACK')
        } catch (error) {
          refused = error
        }
        return Date.now()
      },
      monotonic: () => performance.now(),
    }
    const store = closing(sqliteStore(path, { clock }))
    mine.exec('BEGIN')
    expect(store.claimIn(mine, asks(freshId()))).toMatchObject({ state: 'claimed' })
    mine.exec('COMMIT')
    expect(String(refused)).toMatch(/locked/)
  })

  it('that read before others wrote is told to begin with BEGIN IMMEDIATE', async () => {
    const path = temporaryFile()
    const store = await storeWithOrders(path)
    const mine = opened(path)
    mine.exec('BEGIN')
    orders(mine)
    await claimed(store, freshId())
    const claim = () => store.claimIn(mine, asks(freshId()))
    expect(claim).toThrow(expect.objectContaining({ code: 'STORE_UNAVAILABLE', effect: 'none' }))
    expect(claim).toThrow(/BEGIN IMMEDIATE/)
    mine.exec('ROLLBACK')
  })
})

describe('a savepoint', () => {
  it('undoes only its own writes, also nested and around a refused promise', async () => {
    const store = await storeWithOrders(temporaryFile())
    await store.transaction((tx) => {
      order(tx, 'kept')
      expect(() =>
        store.savepoint(tx, () => {
          order(tx, 'outer')
          expect(() => store.savepoint(tx, async () => order(tx, 'inner'))).toThrow(TypeError)
          expect(orders(tx)).toBe(2)
          throw new Error('out')
        }),
      ).toThrow('out')
      expect(orders(tx)).toBe(1)
    })
    expect(orders(store.database)).toBe(1)
  })
})
