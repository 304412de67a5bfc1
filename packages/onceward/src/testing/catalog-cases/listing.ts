import assert from 'node:assert/strict'
import { operationId } from '../../core/identity.ts'
import type { ListQuery } from '../../core/store.ts'
import { systemClock } from '../../core/system.ts'
import { claimed, doneBy, heldBy, nonce, someId } from '../case-kit.ts'
import type { StoreCase } from '../store-harness.ts'
import { allPages, type CatalogStore, keysOf } from './catalog-kit.ts'

/** Finding operations: filters, pages, limits. */
export const listingCases: readonly StoreCase<CatalogStore>[] = [
  {
    name: 'list answers every record, newest first, with everything it remembers',
    async run({ a, b, pass }) {
      const ids = []
      for (let index = 0; index < 5; index++) {
        const id = someId()
        await doneBy(a, id, `receipt ${index}`)
        ids.push(id)
        await pass(2)
      }
      const { records, cursor } = await b.list({})
      assert.deepEqual(
        records.map((record) => record.id),
        ids.reverse(),
        'newest first by creation',
      )
      assert.equal(cursor, undefined, 'the last page has no cursor')
      for (const record of records)
        assert.deepEqual(record, await a.get(record.id), 'a listed record is the record')
    },
  },
  {
    name: 'list filters by state, scope and age, each alone and together',
    async run({ a, b, unitMs, exactTime, pass, lasts }) {
      const old = operationId('shop', 'old')
      const begunAt = systemClock.monotonic()
      await doneBy(a, old)
      // On real time the others grow older while they are made and listed, and a busy machine takes its time for that.
      const gapMs = exactTime ? unitMs : Math.max(unitMs, 2 * (systemClock.monotonic() - begunAt))
      await pass(gapMs)
      const since = systemClock.monotonic()
      await doneBy(a, operationId('shop', 'done'))
      await heldBy(a, operationId('shop', 'held'))
      await claimed(a, operationId('shop', 'running'))
      await a.release(await claimed(a, operationId('shop', 'released')))
      await doneBy(a, operationId('shop ', 'done'))
      await doneBy(a, operationId('Shop', 'done'))
      await doneBy(a, operationId('shop2', 'done'))
      const keys = async (query: ListQuery) => keysOf((await b.list(query)).records)
      assert.deepEqual(
        await keys({ scope: 'shop' }),
        ['done', 'held', 'old', 'released', 'running'],
        'a scope is exact',
      )
      assert.deepEqual(await keys({ state: 'held' }), ['held'])
      assert.deepEqual(await keys({ state: 'running' }), ['running'])
      assert.deepEqual(await keys({ state: 'released' }), ['released'])
      assert.deepEqual(await keys({ state: 'done', scope: 'shop' }), ['done', 'old'])
      const olderOnes = async (query: ListQuery) => {
        for (;;) {
          const isInTime = lasts(gapMs / 2)
          const olderThanMs = exactTime ? gapMs : systemClock.monotonic() - since + gapMs / 2
          const found = await keys({ ...query, olderThanMs })
          if (isInTime()) return found
        }
      }
      assert.deepEqual(await olderOnes({}), ['old'], 'records created at least so long ago')
      assert.deepEqual(await olderOnes({ state: 'held' }), [])
      assert.deepEqual(await keys({ scope: 'sho' }), [], 'a scope is no prefix')
      assert.deepEqual(await keys({ scope: '%' }), [], 'a scope is no pattern')
    },
  },
  {
    name: 'a key prefix is literal: no wildcard, no case folding, no pattern',
    async run({ a, b }) {
      const keys = [
        'a%b',
        'axb',
        'a_b',
        'a\\b',
        'a*b',
        'a[x]b',
        'A%b',
        'ab',
        'cafe',
        'caf\u00e9',
        'cafe\u0301',
        '🧾1',
        '__proto__',
        "a'b",
      ]
      for (const key of keys) await doneBy(a, operationId('shop', key))
      for (const prefix of [
        'a%',
        'a_',
        'a\\',
        'a*',
        'a[',
        'a',
        'A',
        '%',
        '_',
        'caf',
        'cafe',
        'café',
        '🧾',
        '__',
        "a'",
        'z',
      ]) {
        const { records } = await b.list({ keyPrefix: prefix })
        assert.deepEqual(
          keysOf(records),
          keys.filter((key) => key.startsWith(prefix)).sort(),
          `the prefix ${JSON.stringify(prefix)} is literal`,
        )
      }
    },
  },
  {
    name: 'paging lists each record exactly once, while others are added and changed',
    async run({ a, b, pass }) {
      const ids = []
      for (let index = 0; index < 23; index++) {
        const id = someId(`key-${index}`)
        ids.push(id)
        await doneBy(a, id)
        if (index % 5 === 0) await pass(1)
      }
      const seen: string[] = []
      let cursor: string | undefined
      let pages = 0
      do {
        const page = await b.list({ limit: 4, ...(cursor === undefined ? {} : { cursor }) })
        assert.ok(page.records.length <= 4, 'a page holds at most limit records')
        seen.push(...page.records.map((record) => record.id.key))
        cursor = page.cursor
        pages++
        await pass(1)
        await doneBy(a, someId(`added-${nonce()}`))
        assert.ok(pages < 20, 'paging comes to an end')
      } while (cursor !== undefined)
      for (const { key } of ids) {
        const times = seen.filter((other) => other === key).length
        assert.equal(
          times,
          1,
          `a record that exists throughout is listed exactly once, ${key} was listed ${times} times`,
        )
      }
    },
  },
  {
    name: 'paging keeps its filters, and a full last page has no cursor or an empty successor',
    async run({ a, b }) {
      for (let index = 0; index < 6; index++) {
        await doneBy(a, operationId('shop', `key-${index}`))
        await heldBy(a, operationId('shop', `held-${index}`))
      }
      const held = await allPages(b, { state: 'held', limit: 2 })
      assert.deepEqual(
        keysOf(held),
        Array.from({ length: 6 }, (_, index) => `held-${index}`),
      )
      assert.equal((await allPages(b, { limit: 1 })).length, 12, 'pages of one')
      assert.equal((await allPages(b, { limit: 12 })).length, 12, 'one full page')
      assert.equal((await b.list({ limit: 1000 })).records.length, 12, 'the largest page')
    },
  },
  {
    name: 'an expired record is not listed, found or counted',
    async run({ a, b, unitMs, pass, lasts }) {
      const id = someId()
      const isKept = lasts(unitMs)
      await doneBy(a, id, 'receipt', { retentionMs: unitMs })
      const { done } = await b.stats()
      if (isKept()) assert.equal(done, 1)
      await pass(unitMs)
      assert.deepEqual((await b.list({})).records, [], 'an expired record is not listed')
      assert.equal(await b.find(id.digest), undefined, 'an expired record is not found')
      assert.equal((await b.stats()).done, 0, 'an expired record is not counted')
    },
  },
  {
    name: 'limits are whole numbers from 1 to 1,000, anything else is a TypeError',
    async run({ a }) {
      for (const limit of [0, -1, 1.5, 1001, Number.NaN, Number.POSITIVE_INFINITY]) {
        await assert.rejects(async () => a.list({ limit }), TypeError, `list refuses the limit ${limit}`)
        await assert.rejects(async () => a.sweep(limit), TypeError, `sweep refuses the limit ${limit}`)
        await assert.rejects(async () => a.purge(limit), TypeError, `purge refuses the limit ${limit}`)
        await assert.rejects(async () => a.audit({ limit }), TypeError, `audit refuses the limit ${limit}`)
      }
    },
  },
  {
    name: 'a cursor that no page has handed out is a TypeError',
    async run({ a }) {
      for (const cursor of [
        '',
        'nonsense',
        '0',
        "' OR 1=1",
        Buffer.from('1:x').toString('base64url'),
        '\u0000',
      ]) {
        await assert.rejects(
          async () => a.list({ cursor }),
          TypeError,
          `${JSON.stringify(cursor)} is no cursor`,
        )
      }
    },
  },
  {
    name: 'find takes the digest, or a prefix of 6 or more characters that only one record has, literally',
    async run({ a, b }) {
      const id = someId()
      await doneBy(a, id)
      const other = id.digest[20] === 'x' ? 'y' : 'x'
      const twin = { ...someId(), digest: `${id.digest.slice(0, 20)}${other.repeat(23)}` }
      const record = await a.get(id)
      assert.deepEqual(await b.find(id.digest), record, 'found by its digest')
      for (const length of [6, 7, 20, 42]) {
        assert.deepEqual(await b.find(id.digest.slice(0, length)), record, `found by ${length} characters`)
      }
      for (const text of [
        id.digest.slice(0, 5),
        '',
        '%%%%%%',
        '______',
        `${id.digest.slice(0, 5)}%`,
        `${id.digest}x`,
      ]) {
        assert.equal(await b.find(text), undefined, `${JSON.stringify(text)} finds nothing`)
      }
      const folded = id.digest.toLowerCase() === id.digest ? id.digest.toUpperCase() : id.digest.toLowerCase()
      assert.equal(await b.find(folded), undefined, 'a digest is compared byte by byte')
      await doneBy(a, twin)
      assert.equal(
        await b.find(id.digest.slice(0, 12)),
        undefined,
        'a prefix that two records have finds none',
      )
      assert.deepEqual(await b.find(id.digest), record, 'the whole digest still finds its record')
      assert.equal(
        (await b.find(twin.digest.slice(0, 21)))?.id.key,
        twin.key,
        'a longer prefix tells them apart',
      )
    },
  },
]
