import { describe, expect, it } from 'vitest'
import {
  createOnce,
  finalFailure,
  isOncewardError,
  noEffect,
  type OnceEvent,
  OncewardError,
} from '../../src/core/index.ts'
import { memoryStore } from '../../src/stores/memory/index.ts'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import { bench, gate } from './bench.ts'

describe('run', () => {
  it('runs the work once and replays its value to later callers', async () => {
    const { once } = bench()
    let effects = 0
    const charge = () => once.run({ key: 'order-1', input: { amount: 5 } }, () => ({ id: ++effects }))
    expect(await charge()).toEqual({ id: 1 })
    expect(await charge()).toEqual({ id: 1 })
    expect(effects).toBe(1)
  })

  it('runs once for a hundred parallel callers of one process, who all get equal but separate copies', async () => {
    const { once } = bench()
    let effects = 0
    const results = await Promise.all(
      Array.from({ length: 100 }, () => once.run({ key: 'k' }, async () => ({ list: [++effects] }))),
    )
    expect(effects).toBe(1)
    for (const result of results) expect(result).toEqual({ list: [1] })
    results[1]?.list.push(99)
    expect(results[2]).toEqual({ list: [1] })
    expect(await once.run({ key: 'k' }, () => ({ list: [0] }))).toEqual({ list: [1] })
  })

  it('asks the store once for a hundred parallel callers', async () => {
    const { once, calls } = bench()
    await Promise.all(Array.from({ length: 100 }, () => once.run({ key: 'k' }, async () => 1)))
    expect(calls()).toEqual({ claim: 1, complete: 1 })
  })

  it('asks no store for a repeated replay, and asks again once the outcome has expired', async () => {
    const { once, calls, time } = bench({ retentionMs: 1000 })
    let effects = 0
    const call = () => once.run({ key: 'k' }, () => ++effects)
    await call()
    await call()
    expect(calls()).toEqual({ claim: 1, complete: 1 })
    await time.advance(1000)
    expect(await call()).toBe(2)
  })

  it('runs once across two instances on one store', async () => {
    const store = memoryStore()
    const a = createOnce({ store, scope: 's' })
    const b = createOnce({ store, scope: 's' })
    let effects = 0
    const { promise, resolve: finish } = gate<void>()
    const first = a.run({ key: 'k' }, async () => {
      await promise
      return ++effects
    })
    const second = b.run({ key: 'k' }, async () => ++effects)
    finish()
    expect(await Promise.all([first, second])).toEqual([1, 1])
    expect(effects).toBe(1)
  })

  it.each([
    undefined,
    null,
    0,
    -0,
    '',
    false,
    12n,
    new Date(5),
    new Uint8Array([0, 255]),
    new Map([[{ a: 1 }, new Set([undefined])]]),
  ])('replays %s with its type', async (value) => {
    const { once } = bench({ cache: false })
    expect(await once.run({ key: 'k' }, () => value)).toBe(value)
    expect(await once.run({ key: 'k' }, (): unknown => 'another')).toStrictEqual(value)
  })

  it('refuses the key of another input, running or done, and leaves the first alone', async () => {
    const { once } = bench()
    const { promise, resolve: finish } = gate<string>()
    const first = once.run({ key: 'k', input: { amount: 1 } }, () => promise)
    await expect(once.run({ key: 'k', input: { amount: 2 } }, () => 'x')).rejects.toMatchObject({
      code: 'KEY_REUSED',
      effect: 'none',
      retryable: false,
    })
    finish('first')
    expect(await first).toBe('first')
    await expect(once.run({ key: 'k', input: { amount: 2 } }, () => 'x')).rejects.toMatchObject({
      code: 'KEY_REUSED',
    })
    expect(await once.run({ key: 'k', input: { amount: 1 } }, () => 'x')).toBe('first')
  })

  it('takes the input as it was when called, whatever the work does to it', async () => {
    const { once } = bench({ cache: false })
    const order: { amount: number; note?: string } = { amount: 1 }
    await once.run({ key: 'k', input: order }, () => {
      order.note = 'changed'
    })
    expect(await once.attempt({ key: 'k', input: { amount: 1 } }, () => {})).toMatchObject({
      outcome: 'replayed',
    })
  })

  it('keeps keys of different scopes apart', async () => {
    const { once } = bench()
    expect(await once.run({ key: 'c', scope: 'a:b' }, () => 1)).toBe(1)
    expect(await once.run({ key: 'b:c', scope: 'a' }, () => 2)).toBe(2)
    expect(await once.run({ key: '__proto__', scope: 'constructor' }, () => 3)).toBe(3)
  })

  it('refuses to run a key inside its own work, also through another instance on the store', async () => {
    const { once } = bench()
    const other = createOnce({ store: once.store, scope: 's' })
    await expect(
      once.run({ key: 'k', onError: 'release' }, () => other.run({ key: 'k' }, () => 1)),
    ).rejects.toMatchObject({ code: 'REENTRANT' })
    expect(await once.run({ key: 'k' }, () => once.run({ key: 'inner' }, () => 7))).toBe(7)
  })
})

describe('work that throws', () => {
  it('holds the operation by default, tells that the effect is unknown and keeps the cause', async () => {
    const { once } = bench()
    const boom = new Error('boom')
    const failing = once.run({ key: 'k' }, () => Promise.reject(boom))
    await expect(failing).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN', effect: 'unknown', cause: boom })
    await expect(once.run({ key: 'k' }, () => 1)).rejects.toMatchObject({
      code: 'OUTCOME_UNKNOWN',
      retryable: false,
    })
    expect(await once.attempt({ key: 'k' }, () => 1)).toMatchObject({ outcome: 'held' })
  })

  it('releases when the error says that nothing happened', async () => {
    const { once } = bench()
    const declined = noEffect(new Error('declined'))
    await expect(once.run({ key: 'k' }, () => Promise.reject(declined))).rejects.toBe(declined)
    const refused = new OncewardError('REQUEST_INVALID')
    await expect(once.run({ key: 'k' }, () => Promise.reject(refused))).rejects.toBe(refused)
    expect(await once.run({ key: 'k', input: 'another input is fine' }, (op) => op.attempt)).toBe(3)
  })

  it('releases with onCrash rerun, whose answer to an unknown outcome is to run again', async () => {
    const { once } = bench({ onCrash: 'rerun' })
    await expect(once.run({ key: 'k' }, () => Promise.reject(new Error('boom')))).rejects.toThrow('boom')
    expect(await once.run({ key: 'k' }, () => 'second')).toBe('second')
  })

  it('stores a final failure, which every duplicate gets', async () => {
    const { once } = bench({ cache: false })
    const declined = Object.assign(new Error('card declined'), { code: 'card_declined' })
    const first = once.run({ key: 'k' }, () => Promise.reject(finalFailure(declined)))
    await expect(first).rejects.toMatchObject({ code: 'OPERATION_FAILED', effect: 'none', cause: declined })
    const again = await once.run({ key: 'k' }, () => 1).catch((error: unknown) => error)
    expect(again).toMatchObject({
      code: 'OPERATION_FAILED',
      cause: { message: 'card declined', code: 'card_declined' },
    })
  })

  it('keeps the onError of the instance when a call changes onCrash', async () => {
    const { once } = bench({ onError: 'store' })
    const work = once.run({ key: 'k', onCrash: 'rerun' }, () => Promise.reject(new Error('boom')))
    await expect(work).rejects.toMatchObject({ code: 'OPERATION_FAILED' })
  })

  it('survives an error whose fields throw', async () => {
    const { once } = bench()
    const hostile = Object.defineProperty(new Error(), 'message', {
      get() {
        throw new Error('getter')
      },
    })
    await expect(once.run({ key: 'k' }, () => Promise.reject(hostile))).rejects.toMatchObject({
      code: 'OUTCOME_UNKNOWN',
    })
  })

  it('stores any throw with onError store, as a failure of unknown effect', async () => {
    const { once } = bench({ onError: 'store' })
    await expect(once.run({ key: 'k' }, () => Promise.reject(new Error('boom')))).rejects.toMatchObject({
      effect: 'unknown',
    })
    await expect(once.run({ key: 'k' }, () => 1)).rejects.toMatchObject({
      code: 'OPERATION_FAILED',
      effect: 'unknown',
    })
  })

  it('does not take the word of a nested operation for the one around it', async () => {
    const { once } = bench()
    await expect(
      once.run({ key: 'outer' }, () =>
        once.run({ key: 'inner' }, () => Promise.reject(noEffect(new Error('declined')))),
      ),
    ).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' })
    expect(await once.attempt({ key: 'inner' }, () => 1)).toMatchObject({ outcome: 'executed' })
    expect(await once.attempt({ key: 'outer' }, () => 1)).toMatchObject({ outcome: 'held' })
  })

  it('takes the word of the work itself about an error that came out of a nested operation', async () => {
    const { once } = bench()
    const work = () =>
      once
        .run({ key: 'inner' }, () => Promise.reject(noEffect(new Error('declined'))))
        .catch((error: Error) => {
          throw noEffect(error)
        })
    await expect(once.run({ key: 'outer' }, work)).rejects.toThrow('declined')
    expect(await once.attempt({ key: 'outer' }, () => 1)).toMatchObject({ outcome: 'executed' })
  })

  it.each([['a string'], [undefined], [null], [Object.freeze(new Error('frozen'))]])(
    'survives a throw of %s',
    async (thrown) => {
      const { once } = bench()
      await expect(once.run({ key: 'k' }, () => Promise.reject(thrown))).rejects.toMatchObject({
        code: 'OUTCOME_UNKNOWN',
      })
    },
  )
})

describe('outcomes that cannot be stored', () => {
  it.each([
    ['a function', () => () => 1],
    ['a value that is too large', () => 'x'.repeat(200)],
  ])('keeps %s as done, gives it to its own caller and never runs again', async (_, make) => {
    const { once } = bench({ maxValueBytes: 100 })
    let effects = 0
    const value = await once.run({ key: 'k' }, () => {
      effects++
      return make()
    })
    expect(value).toBeDefined()
    await expect(once.run({ key: 'k' }, () => effects++)).rejects.toMatchObject({
      code: 'OUTCOME_NOT_REPLAYABLE',
      effect: 'done',
      retryable: false,
    })
    expect(effects).toBe(1)
  })
})

describe('a duplicate of a running operation', () => {
  it('is turned away at once with whenRunning reject', async () => {
    const { once } = bench()
    const { promise, resolve: finish } = gate<void>()
    const first = once.run({ key: 'k' }, () => promise)
    expect(await once.attempt({ key: 'k', whenRunning: 'reject' }, () => {})).toMatchObject({
      outcome: 'running',
    })
    await expect(once.run({ key: 'k', waitMs: 0 }, () => {})).rejects.toMatchObject({
      code: 'IN_PROGRESS',
      retryable: true,
    })
    finish()
    await first
  })

  it('stops waiting after waitMs, and at once when its signal aborts', async () => {
    const { once, time } = bench()
    const { promise, resolve: finish } = gate<void>()
    const first = once.run({ key: 'k' }, () => promise)
    const bounded = once.attempt({ key: 'k', waitMs: 100 }, () => {})
    const controller = new AbortController()
    const cancelled = once.run({ key: 'k', signal: controller.signal }, () => {})
    const rejected = expect(cancelled).rejects.toMatchObject({ code: 'ABORTED', effect: 'none' })
    await time.advance(100)
    expect(await bounded).toMatchObject({ outcome: 'running' })
    controller.abort()
    await rejected
    finish()
    await first
  })

  it('runs the work itself when the first one gave it back', async () => {
    const { once } = bench()
    const { promise, reject: give } = gate<never>()
    const first = once.run({ key: 'k' }, () => promise)
    const second = once.run({ key: 'k' }, (op) => op.attempt)
    const rejected = expect(first).rejects.toThrow('nothing happened')
    give(noEffect(new Error('nothing happened')))
    await rejected
    expect(await second).toBe(2)
  })
})

describe('misuse', () => {
  it.each([
    [undefined, 'needs a store'],
    [{ store: 'redis://user:secret@host', scope: 's' }, 'needs a store, .*, not a text$'],
    [{ scope: 's' }, 'store'],
    [{ store: memoryStore() }, 'scope'],
    [{ store: memoryStore(), scope: 's', leaseMS: 5 }, 'leaseMS'],
    [{ store: memoryStore(), scope: 's', leaseMs: 1 }, 'leaseMs'],
    [{ store: memoryStore(), scope: 's', onCrash: 'retry' }, 'onCrash'],
    [{ store: memoryStore(), scope: 's', waitMs: Number.NaN }, 'waitMs'],
    [{ store: memoryStore(), scope: 's', waitMs: '5' }, 'waitMs must be a number of at least 0, not "5"'],
    [{ store: memoryStore(), scope: 's', waitMs: 5n }, 'not 5n'],
    [{ store: memoryStore(), scope: 's', waitMs: [5] }, 'not a list'],
  ])('of createOnce is a TypeError that names the mend (%#)', (options, name) => {
    expect(() => createOnce(options as never)).toThrow(new RegExp(name))
  })

  it('of a call is a TypeError, and nothing is claimed', async () => {
    const { once, calls } = bench()
    for (const call of [
      { key: '' },
      { key: ['order', undefined] },
      { key: 'k', typo: 1 },
      { key: 'k', scope: '' },
      { key: 'k', input: () => {} },
    ]) {
      await expect(once.run(call as never, () => 1)).rejects.toBeInstanceOf(TypeError)
    }
    expect(calls()).toEqual({})
  })

  it.each([undefined, null, 5, {}, Promise.resolve(1)])(
    'of work that is no function is a TypeError, and nothing is claimed (%#)',
    async (work) => {
      const { once, calls } = bench()
      const fn = work as never
      await expect(once.run({ key: 'k' }, fn)).rejects.toThrow(/function that does the work/)
      await expect(once.attempt({ key: 'k' }, fn)).rejects.toThrow(TypeError)
      expect(calls()).toEqual({})
      const store = sqliteStore(':memory:')
      const joining = createOnce({ store, scope: 's' })
      await expect(joining.transaction({ key: 'k' }, fn)).rejects.toThrow(/function that does the work/)
      store.database.exec('BEGIN IMMEDIATE')
      await expect(joining.within(store.database, { key: 'k' }, fn)).rejects.toThrow(/function that does/)
      expect(() => joining.withinSync(store.database, { key: 'k' }, fn)).toThrow(/function that does/)
      store.database.exec('COMMIT')
      expect(await joining.get('k')).toBeUndefined()
      await store.close()
    },
  )

  it('of a step without a function is a TypeError, and the step is not begun', async () => {
    const { once, store } = bench({ onCrash: 'rerun' })
    const run = once.run({ key: 'k' }, (op) => op.step('charge', undefined as never))
    await expect(run).rejects.toThrow('step "charge" needs a function that does the work, not undefined')
    expect(await once.get('k')).toMatchObject({ state: 'released', steps: [] })
    await store.close()
  })

  it('of a call that is none is a TypeError', async () => {
    const { once } = bench()
    await expect(once.run(undefined as never, () => 1)).rejects.toThrow(/the call must be an object/)
  })

  it.each([
    [() => memoryStore({ clok: 1 } as never), 'memoryStore has an unknown field "clok"; known are clock'],
    [() => memoryStore(null as never), 'memoryStore must be an object with fields, not null'],
    [
      () => sqliteStore(':memory:', { busyTimeout: 1 } as never),
      'sqliteStore has an unknown field "busyTimeout"',
    ],
    [() => sqliteStore(':memory:', { busyTimeoutMs: '5' } as never), 'at least 0, not "5"'],
    [() => sqliteStore(':memory:', { maxBatch: '5' } as never), 'not "5"'],
  ])('of the options of a store is a TypeError that names them (%#)', (open, message) => {
    expect(open).toThrow(TypeError)
    expect(open).toThrow(message)
  })

  it('of transaction on a store that has none is a TypeError', async () => {
    const { once } = bench()
    await expect(once.transaction({ key: 'k' }, () => 1)).rejects.toThrow(/transactional/)
  })
})

describe('close', () => {
  it('lets what runs finish and starts nothing new', async () => {
    const { once } = bench()
    const { promise, resolve: finish } = gate<number>()
    const first = once.run({ key: 'k' }, () => promise)
    const closing = once.close()
    await expect(once.run({ key: 'other' }, () => 1)).rejects.toMatchObject({
      code: 'CLOSED',
      effect: 'none',
    })
    finish(4)
    expect(await first).toBe(4)
    await closing
  })
})

describe('events', () => {
  it('tell what happened without keys, inputs or values', async () => {
    const events: OnceEvent[] = []
    const { once } = bench({ observer: (event) => events.push(event), cache: false })
    await once.run({ key: 'secret-key', input: 'secret-input' }, () => 'secret-value')
    await once.run({ key: 'secret-key', input: 'secret-input' }, () => 'secret-value')
    expect(events.map((event) => event.type)).toEqual(['claimed', 'executed', 'replayed'])
    expect(JSON.stringify(events)).not.toContain('secret')
  })

  it('warn about a key that a retry would not have again', async () => {
    const events: OnceEvent[] = []
    const { once } = bench({ observer: (event) => events.push(event) })
    await once.run({ key: { order: 1, requestId: 'a' } }, () => 1)
    expect(events[0]).toMatchObject({ type: 'volatile-key', message: expect.stringContaining('requestId') })
    events.length = 0
    await once.run({ key: { order: 2, requestId: 'a' }, allowVolatile: ['requestId'] }, () => 1)
    expect(events.map((event) => event.type)).not.toContain('volatile-key')
  })

  it('survive an observer that throws', async () => {
    const { once } = bench({
      observer: () => {
        throw new Error('observer')
      },
    })
    expect(await once.run({ key: 'k' }, () => 1)).toBe(1)
  })
})

it('isOncewardError recognises errors of another copy of the library', () => {
  const foreign = Object.assign(new Error('x'), { code: 'IN_PROGRESS', [Symbol.for('onceward.error')]: true })
  expect(isOncewardError(foreign, 'IN_PROGRESS')).toBe(true)
  expect(isOncewardError(foreign, 'KEY_REUSED')).toBe(false)
  expect(isOncewardError({ code: 'IN_PROGRESS' })).toBe(false)
})
