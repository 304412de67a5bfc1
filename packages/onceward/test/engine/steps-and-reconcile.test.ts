import { describe, expect, it } from 'vitest'
import {
  createOnce,
  finalFailure,
  type HeldOperation,
  noEffect,
  type Reconciliation,
} from '../../src/core/index.ts'
import { bench, gate } from './bench.ts'

describe('steps', () => {
  it('that have finished are skipped by the next attempt, with equal values', async () => {
    const { once } = bench({ onCrash: 'rerun' })
    const ran: string[] = []
    const work = (fail: boolean) =>
      once.run({ key: 'k' }, async (op) => {
        const reserved = await op.step('reserve', () => {
          ran.push('reserve')
          return new Date(7)
        })
        await op.step('charge', () => {
          ran.push('charge')
          if (fail) throw new Error('timeout')
        })
        return reserved
      })
    await expect(work(true)).rejects.toThrow('timeout')
    expect(await work(false)).toEqual(new Date(7))
    expect(ran).toEqual(['reserve', 'charge', 'charge'])
  })

  it('that must not be repeated hold a rerunnable operation when they fail', async () => {
    const { once } = bench({ onCrash: 'rerun' })
    const work = once.run({ key: 'k' }, (op) =>
      op.step('charge', () => Promise.reject(new Error('timeout')), { onCrash: 'hold' }),
    )
    await expect(work).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' })
    expect(await once.attempt({ key: 'k' }, () => 1)).toMatchObject({ outcome: 'held' })
  })

  it('that must not be repeated hold a rerunnable operation when its process crashes in them', async () => {
    const { once, store, time } = bench({ onCrash: 'rerun', leaseMs: 1000 }, (store) => ({
      ...store,
      renew: () => new Promise(() => {}),
    }))
    void once.run({ key: 'k' }, (op) => op.step('charge', () => new Promise(() => {}), { onCrash: 'hold' }))
    await time.advance(1001)
    const other = createOnce({ store, scope: 's', clock: time, timers: time })
    expect(await other.attempt({ key: 'k' }, () => 1)).toMatchObject({
      outcome: 'held',
      reason: expect.stringContaining('charge'),
    })
  })

  it('whose value cannot be stored are not run again', async () => {
    const { once } = bench({ onCrash: 'rerun' })
    let charges = 0
    const work = (fail: boolean) =>
      once.run({ key: 'k' }, async (op) => {
        await op.step('charge', () => {
          charges++
          return () => {}
        })
        if (fail) throw new Error('later')
      })
    await expect(work(true)).rejects.toThrow('later')
    await expect(work(false)).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' })
    expect(charges).toBe(1)
  })

  it('may be marked as without effect, and then release the operation', async () => {
    const { once } = bench()
    const refuse = () => Promise.reject(noEffect(new Error('refused')))
    await expect(once.run({ key: 'k' }, (op) => op.step('charge', refuse))).rejects.toThrow('refused')
    expect(await once.run({ key: 'k' }, (op) => op.step('charge', () => 'paid'))).toBe('paid')
  })

  it('need names of their own', async () => {
    const { once } = bench({ onError: 'release' })
    const work = once.run({ key: 'k' }, async (op) => {
      await op.step('a', () => 1)
      await op.step('a', () => 2)
    })
    await expect(work).rejects.toThrow(/"a" was run twice/)
  })
})

it('downstream keys are the same on every attempt and differ by system and operation', async () => {
  const { once } = bench({ onCrash: 'rerun' })
  const keys: string[] = []
  const work = () =>
    once.run({ key: 'k' }, (op) => {
      keys.push(op.downstreamKey('stripe'), op.downstreamKey('bank'))
      if (op.attempt === 1) throw new Error('again')
    })
  await expect(work()).rejects.toThrow('again')
  await work()
  expect(keys[0]).toBe(keys[2])
  expect(new Set(keys).size).toBe(2)
  expect(await once.run({ key: 'other' }, (op) => op.downstreamKey('stripe'))).not.toBe(keys[0])
})

describe('reconcile', () => {
  const held = async (answers: (() => Reconciliation | Promise<Reconciliation>)[]) => {
    const asked: HeldOperation[] = []
    const set = bench({
      cache: false,
      reconcile: (operation) => {
        asked.push(operation)
        return answers[asked.length - 1]?.() ?? { outcome: 'unknown' }
      },
    })
    const failing = set.once.run({ key: 'k', input: 'in' }, () => Promise.reject(new Error('timeout')))
    await expect(failing).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' })
    return { ...set, asked }
  }

  it('that knows the value ends the operation with it, audited', async () => {
    const { once, store, asked } = await held([() => ({ outcome: 'done', value: { id: 9n } })])
    expect(await once.run({ key: 'k', input: 'in' }, () => 'again')).toEqual({ id: 9n })
    expect(asked[0]).toMatchObject({
      key: 'k',
      scope: 's',
      attempt: 1,
      asks: 0,
      input: 'in',
      reason: expect.stringContaining('timeout'),
    })
    expect(await store.audit()).toMatchObject([{ actor: 'reconcile', as: 'done', key: 'k' }])
  })

  it('that knows it failed ends the operation with the failure', async () => {
    const { once } = await held([() => ({ outcome: 'failed', error: new Error('declined') })])
    await expect(once.run({ key: 'k' }, () => 1)).rejects.toMatchObject({
      code: 'OPERATION_FAILED',
      cause: { message: 'declined' },
    })
  })

  it('that knows nothing happened lets the caller run it', async () => {
    const { once } = await held([() => ({ outcome: 'not-happened' })])
    expect(await once.run({ key: 'k' }, (op) => op.attempt)).toBe(2)
  })

  it('that does not know, or throws, leaves it held, and is asked again later and later', async () => {
    const { once, time, asked } = await held([
      () => ({ outcome: 'unknown' }),
      () => Promise.reject(new Error('bank down')),
      () => ({ outcome: 'not-happened' }),
    ])
    const call = () => once.attempt({ key: 'k' }, () => 'ran')
    expect(await call()).toMatchObject({ outcome: 'held' })
    expect(await call()).toMatchObject({ outcome: 'held' })
    expect(asked).toHaveLength(1)
    await time.advance(1250)
    expect(await call()).toMatchObject({ outcome: 'held' })
    expect(asked).toHaveLength(2)
    await time.advance(1250)
    expect(await call()).toMatchObject({ outcome: 'held' })
    expect(asked).toHaveLength(2)
    await time.advance(1250)
    expect(await call()).toMatchObject({ outcome: 'executed' })
  })

  it('is asked by one asker at a time, over all instances of the store', async () => {
    const { promise, resolve } = gate<Reconciliation>()
    const { store, time, asked, once } = await held([() => promise])
    let others = 0
    const other = createOnce({
      store,
      scope: 's',
      clock: time,
      timers: time,
      reconcile: () => {
        others++
        return { outcome: 'not-happened' }
      },
    })
    const first = once.run({ key: 'k' }, () => 'ran')
    await time.advance(1)
    expect(await other.attempt({ key: 'k' }, () => 'stolen')).toMatchObject({ outcome: 'held' })
    resolve({ outcome: 'done', value: 'paid' })
    expect(await first).toBe('paid')
    expect([asked.length, others]).toEqual([1, 0])
  })

  it('that never answers is given up, and its signal aborts', async () => {
    const { once, time, asked } = await held([() => new Promise(() => {})])
    const call = once.attempt({ key: 'k' }, () => 'ran')
    await time.advance(10_001)
    expect(await call).toMatchObject({ outcome: 'held' })
    expect(asked[0]?.signal.aborted).toBe(true)
  })

  it('heals held operations without any caller', async () => {
    const { once, store } = await held([() => ({ outcome: 'done', value: 'paid' })])
    expect(await once.heal()).toEqual({ swept: 0, settled: 1 })
    expect(await store.stats()).toMatchObject({ held: 0, done: 1 })
  })
})

it('a final failure marked with an effect says so to every caller', async () => {
  const { once } = bench({ cache: false })
  const work = () =>
    once.run({ key: 'k' }, () => Promise.reject(finalFailure(new Error('half'), { effect: 'done' })))
  await expect(work()).rejects.toMatchObject({ code: 'OPERATION_FAILED', effect: 'done' })
  await expect(work()).rejects.toMatchObject({ code: 'OPERATION_FAILED', effect: 'done' })
})
