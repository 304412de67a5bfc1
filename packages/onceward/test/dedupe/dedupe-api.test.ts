import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { Readable } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { OncewardError } from '../../src/core/errors.ts'
import { CHANNEL, type OnceEvent } from '../../src/core/observer.ts'
import type { SeenItems } from '../../src/core/seen-items.ts'
import { createDedupe, type DedupeOptions, type Item } from '../../src/dedupe/index.ts'
import { memoryStore } from '../../src/stores/memory/index.ts'
import { shardedStore } from '../../src/stores/sharded/index.ts'
import { deafStore } from './dedupe-cases.ts'

const dedupeOf = (over: Partial<DedupeOptions> = {}) =>
  createDedupe({ store: memoryStore(), scope: 'api', ...over })

describe('createDedupe', () => {
  it('refuses a store that remembers no items, and names those that do', () => {
    const { seen: _, ...plain } = memoryStore()
    for (const store of [plain, shardedStore([plain]), undefined, {}]) {
      expect(() => createDedupe({ store: store as typeof plain, scope: 'api' })).toThrow(
        /^createDedupe needs a store that remembers items: memoryStore, sqliteStore, redisStore, postgresStore, mysqlStore/,
      )
    }
  })

  it('refuses options that make no sense', () => {
    for (const [over, message] of [
      [{ windowMs: 0 }, /windowMs must be a whole number from 1 to \d+, not 0/],
      [{ windowMs: 1.5 }, /windowMs/],
      [{ windowMs: Infinity }, /windowMs/],
      [{ windowMs: 1e13 }, /windowMs/],
      [{ windowMs: '60000' }, /windowMs must be .*not "60000"/],
      [{ sliding: 'yes' }, /sliding must be true or false, not "yes"/],
      [{ retries: -1 }, /retries/],
      [{ scope: '' }, /scope must be a non-empty string/],
      [{ scope: 'x'.repeat(1025) }, /scope has 1025 bytes/],
      [{ observer: {} }, /observer must be a function/],
      [{ window: 5 }, /unknown field "window"; known are store, scope, windowMs/],
    ] as const) {
      expect(() => dedupeOf(over as Partial<DedupeOptions>)).toThrow(message)
    }
    expect(() => dedupeOf({ windowMs: 10 * 365 * 86_400_000 })).not.toThrow()
  })
})

describe('a list of very many items', () => {
  const MANY = Array.from({ length: 20_000 }, (_, index) => `item ${index}`)
  /** How much happened between two turns of the event loop, at most. */
  const watched = () => {
    let since = 0
    let most = 0
    let isOn = true
    const turn = () => {
      since = 0
      if (isOn) setImmediate(turn)
    }
    setImmediate(turn)
    return {
      count(pieces: number) {
        since += pieces
        most = Math.max(most, since)
      },
      end() {
        isOn = false
        return most
      },
    }
  }

  it('lets others have their turns while it is marked, told of and forgotten', async () => {
    const marks = watched()
    const store = memoryStore()
    const { seen } = store
    if (seen === undefined) throw new Error('the store remembers no items')
    const counted: SeenItems = {
      ...seen,
      mark(request) {
        marks.count(request.digests.length)
        return seen.mark(request)
      },
      forget(digests) {
        marks.count(digests.length)
        return seen.forget(digests)
      },
    }
    const tellings = watched()
    const observer = () => tellings.count(1)
    const dedupe = dedupeOf({ store: { ...store, seen: counted }, observer })
    expect(await dedupe.filterNew([...MANY, ...MANY])).toEqual(MANY)
    expect(await dedupe.filterNew(MANY)).toEqual([])
    expect(await dedupe.forget(MANY)).toBe(MANY.length)
    expect(marks.end()).toBeLessThanOrEqual(5000)
    expect(tellings.end()).toBeLessThanOrEqual(1000)
  })
})

describe('an item', () => {
  const odd: readonly [what: string, item: unknown, message: RegExp][] = [
    ['nothing', undefined, /key is undefined/],
    ['null', null, /key is null/],
    ['an empty text', '', /key is empty/],
    ['NaN', Number.NaN, /NaN/],
    ['a number that is too large to be exact', 2 ** 60, /too large to be exact/],
    ['half of a surrogate pair', '\ud800', /well-formed/],
    ['a text of more than 1,024 bytes', 'é'.repeat(513), /key has 1026 bytes.*give it as a list/],
    ['a function', () => {}, /key is function/],
    ['an object with a function', { a: () => {} }, /key\.a/],
    ['an instance of a class', new Map(), /Map/],
    ['a field that is missing', { id: undefined }, /key\.id is undefined/],
    ['what holds itself', selfish(), /key/],
  ]
  for (const [what, item, message] of odd) {
    it(`is refused where it is ${what}, before anything is marked`, async () => {
      const dedupe = dedupeOf()
      await expect(dedupe.firstTime(item as Item)).rejects.toThrow(message)
      await expect(dedupe.filterNew(['good', item as Item])).rejects.toThrow(/^items\[1\]: /)
      await expect(dedupe.filterNew(['good', item as Item])).rejects.toBeInstanceOf(TypeError)
      expect(dedupe.stats().seen).toBe(0)
      expect(await dedupe.firstTime('good')).toBe(true)
    })
  }

  it('may be a long text in a list', async () => {
    const dedupe = dedupeOf()
    const long = 'x'.repeat(1_000_000)
    expect(await dedupe.filterNew([[long], [`${long}.`], [long]])).toEqual([[long], [`${long}.`]])
  })

  it('whose key cannot be told marks nothing, and the error is the one that was thrown', async () => {
    const dedupe = dedupeOf()
    const boom = new RangeError('no id')
    const keyOf = (item: string) => {
      if (item === 'bad') throw boom
      return item
    }
    await expect(dedupe.filterNew(['good', 'bad'], keyOf)).rejects.toBe(boom)
    await expect(dedupe.filterNew(['good', 'bad'], async (item) => keyOf(item))).rejects.toBe(boom)
    expect(await dedupe.firstTime('good')).toBe(true)
  })

  it('is not known by the name of a field: a key is what a function answers', async () => {
    const dedupe = dedupeOf()
    const given = [{ id: 1 }, { id: 1 }]
    for (const sight of [undefined, { markId: 'job' }])
      await expect(dedupe.filterNew(given, 'id' as never, sight)).rejects.toThrow(/keyOf must be .*not "id"/)
    expect(dedupe.stats().seen).toBe(0)
  })

  it('whose content cannot be read marks nothing, and the error is the one of the stream', async () => {
    const dedupe = dedupeOf()
    const broken = new Readable({ read: () => void broken.destroy(new Error('the disk is gone')) })
    await expect(dedupe.filterNew(['good', broken])).rejects.toThrow('the disk is gone')
    await expect(dedupe.firstTime(Readable.from(['text']))).rejects.toThrow(/must give bytes/)
    expect(await dedupe.firstTime('good')).toBe(true)
  })

  it('of which there are many lets others have their turn while they are digested', async () => {
    let turns = 0
    const timer = setInterval(() => turns++, 1)
    const many = Array.from({ length: 100_000 }, (_, id) => ['row', id])
    const fresh = await dedupeOf().filterNew(many, (row) => row)
    clearInterval(timer)
    expect(fresh).toHaveLength(many.length)
    expect(turns).toBeGreaterThan(20)
  })

  it('is refused where it is no list, and where work is given instead of options', async () => {
    const dedupe = dedupeOf()
    for (const items of ['text', 5, null, undefined, {}, new Uint8Array(3)]) {
      await expect(dedupe.filterNew(items as unknown as string[])).rejects.toThrow(
        /filterNew needs a list of items/,
      )
      await expect(dedupe.forget(items as unknown as string[])).rejects.toThrow(
        /forget needs a list of items/,
      )
    }
    const work = (() => 1) as unknown as { markId: string }
    await expect(dedupe.firstTime('a', work)).rejects.toThrow(/firstTime runs no work; use once\.run/)
    await expect(dedupe.firstTime('a', { markID: 'x' } as never)).rejects.toThrow(/unknown field "markID"/)
    await expect(dedupe.firstTime('a', { markId: '' })).rejects.toThrow(/markId must be a text/)
    await expect(dedupe.firstTime('a', { markId: 'x'.repeat(2000) })).rejects.toThrow(/2000 bytes/)
    expect(await dedupe.firstTime('a')).toBe(true)
  })
})

describe('sights of one process', () => {
  it('at the same time share one call of the store, and only the first of them is the first', async () => {
    const store = memoryStore()
    const calls: number[] = []
    const seen = store.seen as SeenItems
    const counting: SeenItems = {
      ...seen,
      mark(request) {
        calls.push(request.digests.length)
        return seen.mark(request)
      },
    }
    const counted = { ...store, seen: counting }
    const dedupe = dedupeOf({ store: counted })
    const answers = await Promise.all(
      [...Array(30).keys(), ...Array(30).keys()].map((item) => dedupe.firstTime(item)),
    )
    expect(answers).toEqual([...Array(30).fill(true), ...Array(30).fill(false)])
    expect(calls).toEqual([30])
  })

  it('that come after an item was forgotten ask the store, even while an earlier sight has no answer yet', async () => {
    const store = memoryStore()
    const seen = store.seen as SeenItems
    const carriedOut = deferred()
    const answer = deferred()
    const slow: SeenItems = {
      ...seen,
      async mark(request) {
        const marked = await seen.mark(request)
        carriedOut.resolve()
        await answer.promise
        return marked
      },
    }
    const dedupe = dedupeOf({ store: { ...store, seen: slow } })
    const first = dedupe.firstTime('x')
    await carriedOut.promise
    expect(await dedupe.forget(['x'])).toBe(1)
    const again = dedupe.firstTime('x')
    answer.resolve()
    expect(await Promise.all([first, again])).toEqual([true, true])
  })

  it('of which some found no room in the store may be marked, and the error says so; a single one is not', async () => {
    const store = memoryStore()
    const { seen } = store
    let room = 5001
    const filling: SeenItems = {
      ...(seen as SeenItems),
      async mark(request) {
        room -= request.digests.length
        if (room < 0) throw new OncewardError('STORE_FULL', 'no room')
        return (seen as SeenItems).mark(request)
      },
    }
    const dedupe = dedupeOf({ store: { ...store, seen: filling } })
    const items = Array.from({ length: 5002 }, (_, id) => id)
    await expect(dedupe.filterNew(items)).rejects.toMatchObject({
      code: 'STORE_FULL',
      effect: 'unknown',
      message: expect.stringContaining('may be marked already'),
    })
    await expect(dedupe.firstTime('one')).rejects.toMatchObject({ code: 'STORE_FULL', effect: 'none' })
    expect(await dedupeOf({ store }).filterNew(items)).toEqual([5000, 5001])
  })

  it('all fail where the store cannot be reached, and say that the item may be marked', async () => {
    const dedupe = dedupeOf({ store: deafStore(memoryStore(), 3), retries: 2 })
    const failed = await Promise.allSettled([dedupe.firstTime('x'), dedupe.firstTime('x')])
    expect(failed).toEqual([
      {
        status: 'rejected',
        reason: expect.objectContaining({ code: 'STORE_UNAVAILABLE', effect: 'unknown' }),
      },
      {
        status: 'rejected',
        reason: expect.objectContaining({ code: 'STORE_UNAVAILABLE', effect: 'unknown' }),
      },
    ])
    expect(await dedupe.firstTime('x')).toBe(false)
    expect(await dedupe.forget(['x'])).toBe(1)
    expect(await dedupe.firstTime('x')).toBe(true)
    expect(dedupe.stats()).toEqual({ seen: 2, first: 1, suppressed: 1, forgotten: 1, retried: 2 })
  })
})

describe('what is suppressed', () => {
  it('is told to the observer and on the channel, by its digest only', async () => {
    const [observed, published]: [OnceEvent[], OnceEvent[]] = [[], []]
    const listen = (event: unknown) => void published.push(event as OnceEvent)
    subscribe(CHANNEL, listen)
    try {
      const dedupe = dedupeOf({
        observer(event) {
          observed.push(event)
          throw new Error('dropped')
        },
      })
      await dedupe.filterNew(['secret@example.com', 'secret@example.com', 'other'])
      await dedupe.firstTime('other')
    } finally {
      unsubscribe(CHANNEL, listen)
    }
    expect(observed).toEqual([
      { type: 'suppressed', scope: 'api', digest: expect.stringMatching(/^[\w-]{43}$/) },
      { type: 'suppressed', scope: 'api', digest: expect.stringMatching(/^[\w-]{43}$/) },
    ])
    expect(published).toEqual(observed)
    expect(JSON.stringify(observed)).not.toContain('secret')
  })
})

function deferred(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve = () => {}
  const promise = new Promise<void>((done) => {
    resolve = done
  })
  return { promise, resolve }
}

function selfish(): object {
  const one: { self?: unknown } = {}
  one.self = one
  return one
}
