import { AsyncResource } from 'node:async_hooks'
import { describe, expect, it, vi } from 'vitest'
import { createOnce, noEffect, OncewardError } from '../../src/core/index.ts'
import { memoryStore } from '../../src/stores/memory/index.ts'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import { bench, gate } from './bench.ts'

describe('work that has had its effect is held, not given back, when it lets through what was refused to', () => {
  it('a withinSync for another key', async () => {
    const store = sqliteStore(':memory:')
    const once = createOnce({ store, scope: 's' })
    await once.run({ key: 'inner', input: 1 }, () => 1)
    const outer = once.run({ key: 'outer' }, () => {
      store.database.exec('BEGIN IMMEDIATE')
      try {
        return once.withinSync(store.database, { key: 'inner', input: 2 }, () => 2)
      } finally {
        store.database.exec('ROLLBACK')
      }
    })
    await expect(outer).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN', cause: { code: 'KEY_REUSED' } })
    expect(await once.attempt({ key: 'outer' }, () => 1)).toMatchObject({ outcome: 'held' })
    await store.close()
  })

  it('a look at a record', async () => {
    const { once } = bench()
    const get = () => Promise.reject(new OncewardError('STORE_UNAVAILABLE'))
    const other = createOnce({ store: { ...memoryStore(), get }, scope: 's' })
    const outer = once.run({ key: 'outer' }, () => other.get('k'))
    await expect(outer).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' })
  })

  it('a run behind a pool that loses the async context', async () => {
    const { once } = bench()
    await once.run({ key: 'inner', input: 1 }, () => 1)
    const elsewhere = new AsyncResource('pool')
    const outer = once.run({ key: 'outer' }, () =>
      elsewhere.runInAsyncScope(() => once.run({ key: 'inner', input: 2 }, () => 2)),
    )
    await expect(outer).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' })
  })

  it('a run of another copy of the library', async () => {
    const { once, store } = bench()
    vi.resetModules()
    const copy = await import('../../src/core/index.ts')
    expect(copy.createOnce).not.toBe(createOnce)
    const other = copy.createOnce({ store, scope: 's' })
    await once.run({ key: 'inner', input: 1 }, () => 1)
    const outer = once.run({ key: 'outer' }, () => other.run({ key: 'inner', input: 2 }, () => 2))
    await expect(outer).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' })
  })

  it('any of these, unless the work itself says that nothing happened', async () => {
    const { once } = bench()
    await once.run({ key: 'inner', input: 1 }, () => 1)
    const outer = once.run({ key: 'outer' }, () =>
      once
        .run({ key: 'inner', input: 2 }, () => 2)
        .catch((error: OncewardError) => {
          throw noEffect(error)
        }),
    )
    await expect(outer).rejects.toMatchObject({ code: 'KEY_REUSED' })
    expect(await once.run({ key: 'outer' }, () => 'again')).toBe('again')
  })
})

describe.each([{ onCrash: 'rerun' }, { onError: 'release' }] as const)(
  'work that is given back by %o',
  (policy) => {
    it('does not pass on what a nested operation says of its effect', async () => {
      const { once } = bench(policy)
      await once.run({ key: 'inner', input: 1 }, () => 1)
      let effects = 0
      const outer = once.run({ key: 'outer' }, () => {
        effects++
        return once.run({ key: 'inner', input: 2 }, () => 2)
      })
      await expect(outer).rejects.toMatchObject({
        code: 'KEY_REUSED',
        effect: 'unknown',
        cause: { code: 'KEY_REUSED', effect: 'none' },
      })
      expect(effects).toBe(1)
      expect(await once.get('outer')).toMatchObject({ state: 'released' })
    })

    it('passes on what the work says itself', async () => {
      const { once } = bench(policy)
      const error = new OncewardError('STORE_UNAVAILABLE')
      await expect(once.run({ key: 'outer' }, () => Promise.reject(error))).rejects.toBe(error)
    })
  },
)

describe('work that leaves a step behind', () => {
  it('begins no further step once it has ended, because another attempt may be at it', async () => {
    const { once } = bench({ onCrash: 'rerun' })
    const first = gate<void>()
    const charges: string[] = []
    let leftBehind: Promise<unknown> = Promise.resolve()
    const failed = once.run({ key: 'k' }, (op) => {
      leftBehind = first.promise.then(() => op.step('charge', () => charges.push('left behind')))
      throw new Error('no connection')
    })
    await expect(failed).rejects.toThrow('no connection')
    await once.run({ key: 'k' }, (op) => op.step('charge', () => charges.push('second attempt')))
    first.resolve()
    await expect(leftBehind).rejects.toThrow(TypeError)
    expect(charges).toEqual(['second attempt'])
  })

  it('is held while a part goes on that must not be repeated, whatever it says of its error', async () => {
    const { once } = bench()
    const charging = gate<void>()
    let charges = 0
    const call = () =>
      once.run({ key: 'k' }, (op) =>
        Promise.all([
          op.step('charge', () => charging.promise.then(() => charges++)),
          Promise.reject(noEffect(new Error('bad address'))),
        ]),
      )
    await expect(call()).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' })
    await expect(call()).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' })
    charging.resolve()
    await charging.promise
    expect(charges).toBe(1)
  })
})

it('holds an operation whose work throws what cannot even be looked at', async () => {
  const { once } = bench()
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  const run = once.run({ key: 'k' }, () => {
    throw proxy
  })
  await expect(run).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' })
  expect(await once.get('k')).toMatchObject({ state: 'held' })
})

it('lets what runs finish with the operations it is made of, after close', async () => {
  const { once } = bench()
  const begun = gate<void>()
  const outer = once.run({ key: 'outer' }, async () => {
    await begun.promise
    return once.run({ key: 'inner' }, () => 'inner')
  })
  const closed = once.close()
  begun.resolve()
  expect(await outer).toBe('inner')
  await closed
  await expect(once.run({ key: 'new' }, () => 1)).rejects.toMatchObject({ code: 'CLOSED' })
})

it('listens once to a signal that many callers share', async () => {
  const { once } = bench()
  const controller = new AbortController()
  const added = vi.spyOn(controller.signal, 'addEventListener')
  const work = gate<number>()
  const leader = once.run({ key: 'k' }, () => work.promise)
  const others = Array.from({ length: 50 }, () => once.run({ key: 'k', signal: controller.signal }, () => 0))
  const refused = others.map((other) => expect(other).rejects.toMatchObject({ code: 'ABORTED' }))
  await vi.waitFor(() => expect(added).toHaveBeenCalled())
  controller.abort()
  await Promise.all(refused)
  expect(added).toHaveBeenCalledTimes(1)
  work.resolve(1)
  expect(await leader).toBe(1)
})

it('tells duplicates the value itself, not what a hidden toJSON makes of it', async () => {
  const { once } = bench()
  const value = Object.defineProperty({ paid: true }, 'toJSON', { value: () => ({ paid: false }) })
  await once.run({ key: 'k' }, () => value)
  expect(await once.run({ key: 'k' }, () => value)).toEqual({ paid: true })
})
