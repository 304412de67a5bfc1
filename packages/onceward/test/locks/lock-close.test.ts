import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { describe, expect, it } from 'vitest'
import { createLocks } from '../../src/locks/create-locks.ts'
import { gate, settled, start } from './lock-rig.ts'

describe('close', () => {
  it('ends waits, gives everything back, and closes the backend', async () => {
    const rig = start()
    const { time, locks, other, pending, watching } = rig
    const lease = await locks.acquire('a')
    const shared = await locks.read('r').acquire()
    await other.acquire('b')
    const waits = [
      locks.acquire('a'),
      locks.acquire('b'),
      locks.read('b').acquire(),
      locks.acquire('b', { fair: false }),
    ]
    const ended = Promise.allSettled(waits)
    await time.advance(100)
    await Promise.all([locks.close(), locks.close()])
    for (const one of await ended) expect(one).toMatchObject({ reason: { code: 'CLOSED' } })
    for (const { signal } of [lease, shared]) expect(signal.reason).toMatchObject({ code: 'LOCK_LOST' })
    expect(rig.closed).toBe(true)
    expect(pending()).toBe(0)
    expect(watching.size).toBe(0)
    expect(await lease.release()).toBe('not-held')
    for (const call of [
      () => locks.acquire('a'),
      () => locks.tryAcquire('a'),
      () => locks.read('a').acquire(),
      () => locks.acquireAll(['a']),
      () => locks.using('a', () => 1),
      () => locks.inspect('a'),
      () => locks.forceRelease('a', { reason: 'x' }),
      () => locks.attach(lease.token),
    ])
      await expect(call()).rejects.toMatchObject({ code: 'CLOSED' })
  })

  it('gives back before it closes', async () => {
    const { backend, time } = start()
    const inner = { ...backend, close: async () => {} }
    const [one, two] = [
      createLocks(inner, { clock: time, timers: time }),
      createLocks(inner, { clock: time, timers: time }),
    ]
    await one.acquire('a')
    await one.close()
    expect(await two.tryAcquire('a')).not.toBeNull()
  })

  it('gives back what is answered to an attach, a wait or an attempt meanwhile', async () => {
    const { time, locks, other, next, pending } = start()
    const given = await other.acquire('a')
    const { open, opened } = gate()
    next('transfer', opened)
    next('acquire', opened, opened)
    const calls = [locks.attach(given.token), locks.acquire('b'), locks.tryAcquire('c')]
    const ended = Promise.allSettled(calls)
    await settled()
    const closing = locks.close()
    await settled()
    open()
    await time.advance(1000)
    await closing
    for (const one of await ended) expect(one).toMatchObject({ reason: { code: 'CLOSED' } })
    for (const key of ['a', 'b', 'c']) expect((await other.inspect(key))?.holders ?? [], key).toEqual([])
    expect(pending()).toBe(0)
  })

  it('waits for a backend that does not answer, but not for long, and settles what hangs', async () => {
    const { time, locks, always, pending } = start()
    await locks.acquire('a')
    for (const method of ['acquire', 'release', 'extend', 'inspect'] as const) always(method, 'deaf')
    const hanging = [locks.acquire('b'), locks.tryAcquire('c'), locks.inspect('a')]
    const ended = Promise.allSettled(hanging)
    await settled()
    const closing = locks.close()
    await time.advance(4000)
    await closing
    for (const one of await ended) expect(one).toMatchObject({ reason: { code: 'CLOSED' } })
    expect(pending()).toBe(0)
  })
})

describe('events', () => {
  it('go to the observer and to the channel, and an observer that throws disturbs nobody', async () => {
    const told: unknown[] = []
    const listen = (event: unknown) => told.push(event)
    subscribe('onceward:locks', listen)
    const { locks } = start({
      observer: () => {
        throw new Error('observer')
      },
    })
    const { fence } = await locks.using('a', (lease) => lease)
    unsubscribe('onceward:locks', listen)
    expect(told).toEqual([
      { type: 'acquired', key: 'a', fence, durationMs: 0 },
      { type: 'released', key: 'a', fence, durationMs: 0 },
    ])
  })
})

describe('nothing', () => {
  it('is left behind by a thousand locks', async () => {
    const { time, locks, pending, watching } = start()
    for (let n = 0; n < 1000; n++) await (await locks.acquire(`a${n % 10}`)).release()
    await Promise.all(Array.from({ length: 100 }, (_, n) => locks.using(`b${n % 3}`, () => n)))
    await time.advance(0)
    expect(pending()).toBe(0)
    expect(watching.size).toBe(0)
  })
})
