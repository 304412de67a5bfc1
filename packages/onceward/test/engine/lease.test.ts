import { describe, expect, it, vi } from 'vitest'
import { createOnce, OncewardError, type Operation, type OperationStore } from '../../src/core/index.ts'
import { bench, gate } from './bench.ts'

const leaseMs = 3000

describe('the heartbeat', () => {
  it('keeps a claim for work that takes ten leases, and leaves no timer behind', async () => {
    const { once, store, time } = bench({ leaseMs })
    const { promise, resolve } = gate<string>()
    const work = once.run({ key: 'k' }, () => promise)
    const other = createOnce({ store, scope: 's', clock: time, timers: time, whenRunning: 'reject' })
    for (let tenth = 0; tenth < 100; tenth++) {
      await time.advance(leaseMs / 10)
      expect(await other.attempt({ key: 'k' }, () => 'stolen')).toMatchObject({ outcome: 'running' })
    }
    resolve('kept')
    expect(await work).toBe('kept')
    await time.advance(0)
    expect(time.pending).toBe(0)
  })

  it('survives renewals that fail, as long as one comes through before the deadline', async () => {
    let failing = true
    const { once, time } = bench({ leaseMs }, (store) => ({
      ...store,
      renew: async (claim, ms) => {
        if (failing) throw new Error('no reply')
        return store.renew(claim, ms)
      },
    }))
    const { promise, resolve } = gate<string>()
    const work = once.run({ key: 'k' }, async (op) => {
      await promise
      return op.signal.aborted
    })
    await time.advance(1500)
    failing = false
    await time.advance(leaseMs)
    resolve('')
    expect(await work).toBe(false)
  })
})

describe('op.signal', () => {
  it.each<[string, (op: Operation) => Operation]>([
    ['a copy', (op) => ({ ...op })],
    ['a wrapper', (op) => new Proxy(op, {})],
    ['an heir', (op) => Object.create(op)],
  ])('is there in %s of the handle, which does all that the handle does', async (_, made) => {
    const { once } = bench({ leaseMs })
    const told = await once.run({ key: 'k' }, async (op) => {
      const { signal, step, downstreamKey, fence } = made(op)
      const same = [signal === op.signal, fence === op.fence, downstreamKey('x') === op.downstreamKey('x')]
      return [...same, signal.aborted, await step('s', () => 'stepped')]
    })
    expect(told).toEqual([true, true, true, false, 'stepped'])
  })

  const started = async (options: object, wrap?: (store: OperationStore) => OperationStore) => {
    const set = bench({ leaseMs, ...options }, wrap)
    const { promise, resolve } = gate<string>()
    let op: Operation | undefined
    const work = set.once.run({ key: 'k' }, (given) => {
      op = given
      return promise
    })
    work.catch(() => {})
    await vi.waitFor(() => expect(op).toBeDefined())
    return { ...set, op: op as Operation, work, resolve }
  }

  it('aborts before the lease ends when the store does not answer', async () => {
    const { op, time } = await started({}, (store) => ({ ...store, renew: () => new Promise(() => {}) }))
    await time.advance(leaseMs * 0.9)
    expect(op.signal.aborted).toBe(false)
    await time.advance(leaseMs * 0.099)
    expect(op.signal.aborted).toBe(true)
    expect(op.signal.reason).toMatchObject({ code: 'CLAIM_LOST', effect: 'unknown' })
  })

  it('is found aborted the moment it is read after the event loop was blocked', async () => {
    const { op, time } = await started({})
    time.jump(leaseMs)
    expect(op.signal.aborted).toBe(true)
  })

  it('is not revived by a renewal that was answered too late', async () => {
    const { promise, resolve } = gate<boolean>()
    const { op, time } = await started({}, (store) => ({ ...store, renew: () => promise }))
    await time.advance(leaseMs)
    resolve(true)
    await time.advance(1)
    expect(op.signal.aborted).toBe(true)
  })

  it('aborts when the store says that another owns the operation', async () => {
    const { op, time } = await started({}, (store) => ({ ...store, renew: async () => false }))
    await time.advance(leaseMs / 3)
    expect(op.signal.aborted).toBe(true)
  })
})

describe('a claim that lapsed', () => {
  it('is held by default, and the late end of its work changes nothing', async () => {
    const { once, store, time } = bench({ leaseMs }, (store) => ({
      ...store,
      renew: () => new Promise(() => {}),
    }))
    const { promise, resolve } = gate<string>()
    const late = once.run({ key: 'k' }, () => promise)
    const lost = expect(late).rejects.toMatchObject({ code: 'CLAIM_LOST', effect: 'unknown' })
    await time.advance(leaseMs)
    const other = createOnce({ store, scope: 's', clock: time, timers: time })
    expect(await other.attempt({ key: 'k' }, () => 'second run')).toMatchObject({ outcome: 'held' })
    resolve('late')
    await lost
    expect(await other.get('k')).toMatchObject({ state: 'held', attempt: 1 })
  })

  it('is taken over with a greater fence under rerun, and the first one is told', async () => {
    const { once, store, time } = bench({ leaseMs, onCrash: 'rerun' }, (store) => ({
      ...store,
      renew: () => new Promise(() => {}),
    }))
    const { promise, resolve } = gate<string>()
    let firstFence = 0
    const late = once.run({ key: 'k' }, (op) => {
      firstFence = op.fence
      return promise
    })
    const lost = expect(late).rejects.toMatchObject({ code: 'CLAIM_LOST' })
    await time.advance(leaseMs)
    const other = createOnce({ store, scope: 's', clock: time, timers: time })
    const second = await other.run({ key: 'k' }, ({ attempt, takenOver, fence }) => ({
      attempt,
      takenOver,
      fence,
    }))
    expect(second).toMatchObject({ attempt: 2, takenOver: true })
    expect(second.fence).toBeGreaterThan(firstFence)
    resolve('late')
    await lost
    expect(await other.run({ key: 'k' }, () => 'third')).toEqual(second)
  })

  it('lets duplicates in its own process go on to the store, which knows more', async () => {
    const { once, time } = bench({ leaseMs, onCrash: 'rerun' }, (store) => ({
      ...store,
      renew: () => new Promise(() => {}),
    }))
    void once.run({ key: 'k' }, () => new Promise(() => {})).catch(() => {})
    await time.advance(1)
    const second = once.run({ key: 'k' }, (op) => op.attempt)
    await time.advance(leaseMs + 1)
    expect(await second).toBe(2)
  })

  it('wakes a waiting duplicate when it lapses', async () => {
    const { once, store, time } = bench({ leaseMs, onCrash: 'rerun' }, (store) => ({
      ...store,
      renew: () => new Promise(() => {}),
    }))
    void once.run({ key: 'k' }, () => new Promise(() => {}))
    await time.advance(1)
    const other = createOnce({ store, scope: 's', clock: time, timers: time })
    const second = other.run({ key: 'k' }, (op) => op.attempt)
    await time.advance(leaseMs + 1)
    expect(await second).toBe(2)
  })
})

describe('a store that fails', () => {
  it('before the claim starts nothing and says so', async () => {
    let effects = 0
    const { once, time } = bench({ storeTimeoutMs: 500 }, (store) => ({
      ...store,
      claim: () => Promise.reject(new Error('ECONNREFUSED')),
    }))
    const call = expect(once.run({ key: 'k' }, () => ++effects)).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
      effect: 'none',
      retryable: true,
    })
    await time.advance(1000)
    await call
    expect(effects).toBe(0)
  })

  it('and never answers the claim is given up after storeTimeoutMs, by all callers at once', async () => {
    const { once, time } = bench({ storeTimeoutMs: 500 }, (store) => ({
      ...store,
      claim: () => new Promise(() => {}),
    }))
    const calls = Promise.allSettled(Array.from({ length: 20 }, () => once.run({ key: 'k' }, () => 1)))
    await time.advance(501)
    for (const call of await calls)
      expect(call).toMatchObject({ reason: { code: 'STORE_UNAVAILABLE', effect: 'none' } })
  })

  it('and leaves one claim unanswered is asked again within storeTimeoutMs', async () => {
    let unanswered = 1
    const { once, time } = bench({ storeTimeoutMs: 500 }, (store) => ({
      ...store,
      claim: async (request) => {
        const reply = await store.claim(request)
        return unanswered-- > 0 ? new Promise(() => {}) : reply
      },
    }))
    const work = once.run({ key: 'k' }, (op) => op.attempt)
    await time.advance(400)
    expect(await work).toBe(1)
  })

  it('and was closed is told of at once', async () => {
    const { once, calls } = bench({}, (store) => ({
      ...store,
      claim: () => Promise.reject(new OncewardError('CLOSED')),
    }))
    await expect(once.run({ key: 'k' }, () => 1)).rejects.toMatchObject({ code: 'CLOSED', effect: 'none' })
    expect(calls()['claim']).toBe(1)
  })

  it('with the reply to a claim lost is asked again and runs the work once', async () => {
    let lost = 2
    let effects = 0
    const { once, time } = bench({}, (store) => ({
      ...store,
      claim: async (request) => {
        const reply = await store.claim(request)
        if (lost-- > 0) throw new Error('ECONNRESET')
        return reply
      },
    }))
    const work = once.run({ key: 'k' }, (op) => [op.attempt, ++effects])
    await time.advance(1000)
    expect(await work).toEqual([1, 1])
  })

  it('gives back a claim that was granted when nobody waited for it any more', async () => {
    let down = true
    const { once, store, time } = bench({ storeTimeoutMs: 100 }, (store) => ({
      ...store,
      claim: async (request) => {
        const reply = await store.claim(request)
        if (down) throw new Error('ECONNRESET')
        return reply
      },
      get: (id) => (down ? Promise.reject(new Error('ECONNREFUSED')) : store.get(id)),
    }))
    const call = expect(once.run({ key: 'k' }, () => 1)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    await time.advance(300)
    await call
    expect((await store.stats()).running).toBe(1)
    down = false
    await time.advance(2000)
    expect(await store.stats()).toMatchObject({ running: 0, released: 1 })
    expect(await once.run({ key: 'k' }, (op) => op.attempt)).toBe(2)
  })

  it('with the reply to a completion lost still stores the outcome once', async () => {
    let lost = 2
    const { once, time } = bench({ cache: false }, (store) => ({
      ...store,
      complete: async (...args) => {
        const stored = await store.complete(...args)
        if (lost-- > 0) throw new Error('ECONNRESET')
        return stored
      },
    }))
    const work = once.run({ key: 'k' }, () => 'value')
    await time.advance(1000)
    expect(await work).toBe('value')
    expect(await once.run({ key: 'k' }, () => 'other')).toBe('value')
  })

  it('at completion is tried again while the claim holds; then the caller gets the value with the error', async () => {
    const { once, store, time } = bench({ leaseMs }, (store) => ({
      ...store,
      renew: () => Promise.reject(new Error('down')),
      complete: () => Promise.reject(new Error('down')),
    }))
    const work = once.run({ key: 'k' }, () => 'value').catch((error: unknown) => error)
    await time.advance(leaseMs * 2)
    expect(await work).toMatchObject({ code: 'OUTCOME_NOT_STORED', effect: 'done', value: 'value' })
    expect(JSON.stringify(await work)).not.toContain('"value":"value"')
    const other = createOnce({ store, scope: 's', clock: time, timers: time })
    expect(await other.attempt({ key: 'k' }, () => 'again')).toMatchObject({ outcome: 'held' })
  })
})
