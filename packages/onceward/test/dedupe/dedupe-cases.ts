/** What every store has to keep of a dedupe, as cases that can also be run on a store that is broken on purpose. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { OncewardError } from '../../src/core/errors.ts'
import { MAX_MARKED } from '../../src/core/seen-items.ts'
import type { OperationStore } from '../../src/core/store.ts'
import { createDedupe } from '../../src/dedupe/index.ts'
import type { DedupeRig } from './dedupe-rig.ts'

/** One rule. */
export interface DedupeCase {
  readonly rule: string
  run(rig: DedupeRig): Promise<void>
}

const DAY_MS = 86_400_000
const some = () => randomBytes(6).toString('hex')

/** The same store, which carries out its next `times` marks and says that it was not reached. */
export function deafStore(store: OperationStore, times: number): OperationStore {
  const { seen } = store
  if (seen === undefined) throw new Error('the store remembers no items')
  let left = times
  return {
    ...store,
    seen: {
      ...seen,
      async mark(request) {
        const answer = await seen.mark(request)
        if (left-- > 0) throw new OncewardError('STORE_UNAVAILABLE', 'no answer')
        return answer
      },
    },
  }
}

export const DEDUPE_CASES: readonly DedupeCase[] = [
  {
    rule: 'tells the first sight of an item from all that follow, over both connections',
    async run({ stores }) {
      const [a, b] = stores.map((store) => createDedupe({ store, scope: 'plain' }))
      assert.equal(await a?.firstTime('mail 1'), true)
      assert.equal(await a?.firstTime('mail 1'), false)
      assert.equal(await b?.firstTime('mail 1'), false)
      assert.equal(await b?.firstTime('mail 2'), true)
      assert.deepEqual(a?.stats(), { seen: 2, first: 1, suppressed: 1, forgotten: 0, retried: 0 })
    },
  },
  {
    rule: 'tells one of fifty callers at the same time that an item is new, every time',
    async run({ stores }) {
      for (let round = 0; round < 5; round++) {
        const item = some()
        const answers = await Promise.all(
          Array.from({ length: 50 }, (_, index) =>
            // Each has a dedupe of its own, as if it were another process.
            createDedupe({ store: stores[index % 2 === 0 ? 0 : 1], scope: 'race' }).firstTime(item),
          ),
        )
        assert.equal(answers.filter((first) => first).length, 1)
      }
    },
  },
  {
    rule: 'gives each of many items to one of twenty callers that filter lists of them in different orders',
    async run({ stores }) {
      const lists = Array.from({ length: 20 }, (_, shift) =>
        Array.from({ length: 120 }, (_, index) => (index * 7 + shift * 13) % 150),
      )
      const won = await Promise.all(
        lists.map((list, index) =>
          createDedupe({ store: stores[index % 2 === 0 ? 0 : 1], scope: 'lists' }).filterNew(list),
        ),
      )
      const all = won.flat()
      assert.equal(all.length, new Set(all).size, 'an item was given to two')
      assert.equal(all.length, new Set(lists.flat()).size, 'an item was given to nobody')
    },
  },
  {
    rule: 'answers the new items in their order, each once, and asks the store once for thousands',
    async run({ stores: [store] }) {
      let calls = 0
      const { seen } = store
      assert.ok(seen)
      const counted = {
        ...store,
        seen: {
          ...seen,
          mark(request: Parameters<typeof seen.mark>[0]) {
            calls++
            return seen.mark(request)
          },
        },
      }
      const dedupe = createDedupe({ store: counted, scope: 'thousands' })
      const items = Array.from({ length: MAX_MARKED }, (_, index) => ({ id: index, text: `row ${index}` }))
      const odd = items.filter(({ id }) => id % 2 === 1)
      assert.deepEqual(await dedupe.filterNew(odd), odd)
      assert.equal(calls, 1)
      const shuffled = [...items].sort((x, y) => ((x.id * 7919) % 5003) - ((y.id * 7919) % 5003))
      assert.deepEqual(
        await dedupe.filterNew([...shuffled, ...shuffled]),
        shuffled.filter(({ id }) => id % 2 === 0),
      )
      assert.equal(calls, 2)
      const more = Array.from({ length: MAX_MARKED * 2 + 1 }, (_, index) => `more ${index}`)
      assert.equal((await dedupe.filterNew(more)).length, more.length)
      assert.equal(calls, 5)
      assert.deepEqual(await dedupe.filterNew([]), [])
      assert.equal(calls, 5)
    },
  },
  {
    rule: 'remembers an item for its window from its first sight',
    async run({ stores: [store, other], advance }) {
      const [dedupe, elsewhere] = [store, other].map((one) =>
        createDedupe({ store: one, scope: 'fixed', windowMs: 60_000 }),
      )
      assert.equal(await dedupe?.firstTime('item'), true)
      await advance(40_000)
      assert.equal(await elsewhere?.firstTime('item'), false)
      await advance(25_000)
      assert.equal(await elsewhere?.firstTime('item'), true)
      assert.deepEqual(await dedupe?.filterNew(['item', 'another']), ['another'])
    },
  },
  {
    rule: 'remembers an item for another window with each sight where windows slide',
    async run({ stores: [store, other], advance }) {
      const [dedupe, elsewhere] = [store, other].map((one) =>
        createDedupe({ store: one, scope: 'sliding', windowMs: 60_000, sliding: true }),
      )
      assert.equal(await dedupe?.firstTime('item'), true)
      for (let sight = 0; sight < 3; sight++) {
        await advance(40_000)
        assert.deepEqual(await elsewhere?.filterNew(['item']), [])
      }
      await advance(65_000)
      assert.equal(await elsewhere?.firstTime('item'), true)
    },
  },
  {
    rule: 'forgets items, and tells how many it remembered',
    async run({ stores: [store, other], advance }) {
      const dedupe = createDedupe({ store, scope: 'forget', windowMs: 60_000 })
      const elsewhere = createDedupe({ store: other, scope: 'forget', windowMs: 60_000 })
      await dedupe.filterNew(['a', 'b', 'c'])
      assert.equal(await elsewhere.forget(['a', 'b', 'b', 'never seen']), 2)
      assert.deepEqual(await dedupe.filterNew(['a', 'b', 'c']), ['a', 'b'])
      await advance(65_000)
      assert.equal(await dedupe.forget(['a', 'c']), 0)
      assert.equal(dedupe.stats().forgotten, 0)
      assert.equal(elsewhere.stats().forgotten, 2)
    },
  },
  {
    rule: 'keeps scopes apart, whatever characters are in them',
    async run({ stores: [store] }) {
      const pairs = [
        ['a', 'bc'],
        ['ab', 'c'],
        ['a:b', 'c'],
        ['1:a', 'bc'],
        ['ä', 'bc'],
      ] as const
      for (const [scope, item] of pairs)
        assert.equal(await createDedupe({ store, scope }).firstTime(item), true, `${scope}, ${item}`)
      for (const [scope, item] of pairs)
        assert.equal(await createDedupe({ store, scope }).firstTime(item), false, `${scope}, ${item}`)
    },
  },
  {
    rule: 'knows values by what they say, and content by its bytes, however it comes',
    async run({ stores: [store] }) {
      const dedupe = createDedupe({ store, scope: 'content' })
      assert.deepEqual(await dedupe.filterNew([{ a: 1, b: [2n] }, { b: [2n], a: 1 }, 7, 7n, '7', 7]), [
        { a: 1, b: [2n] },
        7,
        7n,
        '7',
      ])
      const bytes = randomBytes(100_000)
      assert.equal(await dedupe.firstTime(Readable.from([bytes.subarray(0, 10), bytes.subarray(10)])), true)
      assert.equal(await dedupe.firstTime(bytes), false)
      assert.equal(await dedupe.firstTime(new Uint8Array(bytes)), false)
      assert.equal(await dedupe.firstTime(new Blob([bytes])), false)
      assert.equal(await dedupe.firstTime(new Blob([bytes]).stream() as unknown as Blob), false)
      assert.equal(await dedupe.firstTime(bytes.subarray(1)), true)
      const uploads = [bytes, randomBytes(9), bytes].map((content, id) => ({
        id,
        content: Readable.from([content]),
      }))
      const fresh = await dedupe.filterNew(uploads, ({ content }) => content)
      assert.deepEqual(
        fresh.map(({ id }) => id),
        [1],
      )
      const digest = createHash('sha256').update(bytes).digest('base64url')
      assert.equal(await dedupe.firstTime(`f1_${digest}`), false)
    },
  },
  {
    rule: 'gives a call whose reply was lost the answer that it had',
    async run({ stores: [store, other] }) {
      const dedupe = createDedupe({ store: deafStore(store, 2), scope: 'lost' })
      const elsewhere = createDedupe({ store: other, scope: 'lost' })
      assert.equal(await elsewhere.firstTime('known'), true)
      assert.deepEqual(await dedupe.filterNew(['known', 'new']), ['new'])
      assert.equal(dedupe.stats().retried, 2)
      assert.equal(await elsewhere.firstTime('new'), false)
      assert.equal(await dedupe.firstTime('new'), false)
    },
  },
  {
    rule: 'answers a sight that is named the same way whenever it is asked again, and no other',
    async run({ stores: [store, other], advance }) {
      const deaf = createDedupe({ store: deafStore(store, 1), scope: 'named', retries: 0, windowMs: DAY_MS })
      const dedupe = createDedupe({ store: other, scope: 'named', windowMs: DAY_MS })
      await assert.rejects(deaf.firstTime('item', { markId: 'delivery 1' }), {
        code: 'STORE_UNAVAILABLE',
        effect: 'unknown',
        message: /ask again with the same markId, or forget/,
      })
      assert.equal(await dedupe.firstTime('item', { markId: 'delivery 2' }), false)
      assert.equal(await dedupe.firstTime('item'), false)
      assert.equal(await dedupe.firstTime('item', { markId: 'delivery 1' }), true)
      assert.deepEqual(await dedupe.filterNew(['item', 'other'], { markId: 'delivery 1' }), ['item', 'other'])
      assert.deepEqual(await dedupe.filterNew(['other'], (text) => text, { markId: 'delivery 3' }), [])
      // Asking again prolongs nothing.
      await advance(DAY_MS * 0.6)
      assert.equal(await dedupe.firstTime('item', { markId: 'delivery 1' }), true)
      await advance(DAY_MS * 0.5)
      assert.equal(await dedupe.firstTime('item', { markId: 'delivery 2' }), true)
      assert.equal(await dedupe.firstTime('item', { markId: 'delivery 1' }), false)
    },
  },
  {
    rule: 'purges what is remembered no more in bounded batches, by itself and with the operations of the store',
    async run({ stores: [store, other], advance, keepsExpired }) {
      const dedupe = createDedupe({ store, scope: 'purge', windowMs: 60_000 })
      await dedupe.filterNew(Array.from({ length: 30 }, (_, index) => `old ${index}`))
      await advance(65_000)
      await dedupe.filterNew(['young', 'old 3'])
      const expected = keepsExpired ? [10, 15, 4, 0] : [0, 0, 0, 0]
      assert.equal(await dedupe.purge(10), expected[0])
      assert.equal(await other.purge(15), expected[1])
      assert.equal(await other.purge(), expected[2])
      assert.equal(await dedupe.purge(), expected[3])
      assert.deepEqual(await dedupe.filterNew(['young', 'old 3', 'old 4']), ['old 4'])
    },
  },
]
