import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { SqlEndpoint, TestDatabase } from '../../../../test-servers/index.mjs'
import { createOnce, finalFailure, isOncewardError, type Once } from '../../src/core/index.ts'
import type { OperationCatalog, OperationStore } from '../../src/core/store.ts'
import type { OpenWay, Way } from './way.ts'

/** The part of a server that the suite uses. */
export type SuiteServer = Pick<SqlEndpoint, 'query' | 'createDatabase'>

type Store = OperationStore & OperationCatalog

/** What differs between the stores. */
export interface StoreKind {
  readonly orders: string
  open(url: string): Promise<{ readonly store: Store; close(): Promise<void> }>
}

/** What `once.within` does in a transaction of any package. */
export function onceSuite(server: SuiteServer, ways: readonly Way[], kind: StoreKind): void {
  describe.each(ways.map((one) => [one.name, one] as const))('%s', (_, { open }) => {
    let database: TestDatabase
    let opened: Awaited<ReturnType<StoreKind['open']>>
    let used: OpenWay
    let once: Once

    beforeAll(async () => {
      database = await server.createDatabase()
      await server.query(kind.orders, [], database.name)
      opened = await kind.open(database.url)
      await opened.store.migrate()
      used = await open(database.url)
      once = createOnce({ store: opened.store, scope: 'shop', cache: false })
    }, 60_000)
    afterAll(async () => {
      await used?.close()
      await opened?.store.close()
      await opened?.close()
      await database?.drop()
    })

    const orders = async (cart: string) => {
      const rows = await server.query('SELECT cart FROM orders', [], database.name)
      return rows.filter((row) => row['cart'] === cart).length
    }
    const place = (cart: string, value: unknown = { cart }) =>
      used.transaction((tx) =>
        once.within(tx, { key: cart, input: cart }, async () => {
          await used.insert(tx, cart)
          return value
        }),
      )

    it('commits the effect and the record together, and replays every type to a duplicate', async () => {
      const value = {
        at: new Date(3),
        big: 2n ** 70n,
        bytes: Uint8Array.of(0, 255),
        map: new Map([['a', new Set([1])]]),
        nothing: undefined,
      }
      expect(await place('cart-1', value)).toEqual(value)
      expect(await place('cart-1', 'another')).toEqual(value)
      expect(await once.run({ key: 'cart-1', input: 'cart-1' }, () => 'again')).toEqual(value)
      expect(await orders('cart-1')).toBe(1)
      expect(await once.get('cart-1')).toMatchObject({ state: 'done', attempt: 1 })
    })

    it('rolls both back when the transaction throws', async () => {
      const run = used.transaction(async (tx) => {
        await once.within(tx, { key: 'cart-2' }, () => used.insert(tx, 'cart-2'))
        throw new Error('after it')
      })
      await expect(run).rejects.toThrow('after it')
      expect(await orders('cart-2')).toBe(0)
      expect(await once.get('cart-2')).toBeUndefined()
    })

    it('undoes only its own writes when its work throws, and the transaction goes on', async () => {
      await used.transaction(async (tx) => {
        await used.insert(tx, 'kept')
        const work = once.within(tx, { key: 'cart-3' }, async () => {
          await used.insert(tx, 'lost')
          throw new Error('sold out')
        })
        await expect(work).rejects.toThrow('sold out')
        await once.within(tx, { key: 'cart-4' }, () => used.insert(tx, 'cart-4').then(() => 4))
      })
      expect([await orders('kept'), await orders('lost'), await orders('cart-4')]).toEqual([1, 0, 1])
      expect(await once.get('cart-3')).toBeUndefined()
      expect(await once.get('cart-4')).toMatchObject({ state: 'done' })
    })

    it('refuses a reused key, and leaves the transaction usable', async () => {
      await place('cart-5')
      await used.transaction(async (tx) => {
        const reused = once.within(tx, { key: 'cart-5', input: 'other' }, () => 1)
        await expect(reused).rejects.toMatchObject({ code: 'KEY_REUSED', effect: 'none' })
        await used.insert(tx, 'after')
      })
      expect(await orders('after')).toBe(1)
    })

    it('runs once for 20 callers at the same time, and each gets the answer or may try again', async () => {
      const answers = await Promise.allSettled(Array.from({ length: 20 }, () => place('cart-6')))
      for (const answer of answers) {
        if (answer.status === 'fulfilled') expect(answer.value).toEqual({ cart: 'cart-6' })
        else
          expect(isOncewardError(answer.reason) && answer.reason.retryable, String(answer.reason)).toBe(true)
      }
      expect(await orders('cart-6')).toBe(1)
      expect(answers.filter(({ status }) => status === 'fulfilled').length).toBeGreaterThan(0)
    })

    it('nests: the inner operation is undone with the outer one', async () => {
      await used.transaction(async (tx) => {
        const outer = once.within(tx, { key: 'outer' }, async () => {
          await once.within(tx, { key: 'inner' }, () => used.insert(tx, 'inner').then(() => 1))
          throw new Error('outer')
        })
        await expect(outer).rejects.toThrow('outer')
      })
      expect(await orders('inner')).toBe(0)
      expect(await once.get('inner')).toBeUndefined()
    })

    it('tells a deadlock as retryable, without effect', async () => {
      const [one, two] = ['deadlock-1', 'deadlock-2'] as const
      let holding = 0
      let both = () => {}
      const haveBoth = new Promise<void>((resolve) => {
        both = resolve
      })
      const run = (keys: readonly [string, string]) =>
        used
          .transaction(async (tx) => {
            await once.within(tx, { key: keys[0] }, () => used.insert(tx, keys[0]).then(() => 1))
            if (++holding === 2) both()
            await haveBoth
            await once.within(tx, { key: keys[1] }, () => used.insert(tx, keys[1]).then(() => 1))
          })
          // MySQL may undo one for the gaps between the keys, before either has both.
          .finally(both)
      const ends = await Promise.allSettled([run([one, two]), run([two, one])])
      const failed = ends.filter((end) => end.status === 'rejected')
      expect(failed, 'the server undoes one of the two').toHaveLength(1)
      for (const { reason } of failed) {
        expect(reason).toMatchObject({ retryable: true, effect: 'none' })
      }
      expect([await orders(one), await orders(two)]).toEqual([1, 1])
    })

    it('refuses what is no transaction before anything is claimed', async () => {
      for (const { what, handle, mend } of used.roots) {
        await expect(
          once.within(handle, { key: 'cart-7' }, () => 1),
          what,
        ).rejects.toThrow(mend)
      }
      expect(await once.get('cart-7')).toBeUndefined()
    })

    it('is there whole or not at all where the work swallows the error of a statement', async () => {
      let refused: unknown
      const placed = await used
        .transaction((tx) =>
          once.within(tx, { key: 'cart-9' }, async () => {
            await used.insert(tx, 'cart-9')
            await used.insert(tx, null as never).catch((error: unknown) => {
              refused = error
            })
            return 9
          }),
        )
        .catch(() => 'rolled back')
      expect(refused, 'a cart must not be null').toBeInstanceOf(Error)
      const found = [placed, await orders('cart-9'), (await once.get('cart-9'))?.state]
      expect(found).toEqual(placed === 9 ? [9, 1, 'done'] : ['rolled back', 0, undefined])
    })

    it('passes on even null, undoes what was written before it, and the transaction goes on', async () => {
      await used.transaction(async (tx) => {
        const thrown = await once
          .within(tx, { key: 'cart-10' }, async () => {
            await used.insert(tx, 'cart-10')
            throw null
          })
          .catch((error: unknown) => ({ error }))
        expect(thrown).toEqual({ error: null })
        await used.insert(tx, 'after null')
      })
      expect([await orders('cart-10'), await orders('after null')]).toEqual([0, 1])
      expect(await once.get('cart-10')).toBeUndefined()
    })

    it('leaves a final failure to the caller, who rolls back or not', async () => {
      const run = used.transaction((tx) =>
        once.within(tx, { key: 'cart-8' }, async () => {
          await used.insert(tx, 'cart-8')
          throw finalFailure(new Error('declined'))
        }),
      )
      await expect(run).rejects.toThrow('declined')
      expect(await orders('cart-8')).toBe(0)
    })
  })
}
