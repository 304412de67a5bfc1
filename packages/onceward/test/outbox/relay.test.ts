/** Publishing, on every database: order, batches, topics, several relays. */
import { afterEach, expect, it } from 'vitest'
import type { Timers } from '../../src/core/clock.ts'
import { systemTimers } from '../../src/core/system.ts'
import type { RelayedEvent } from '../../src/outbox/index.ts'
import { type DatabaseRig, onEachDatabase } from '../databases/on-each-database.ts'
import { type OutboxRig, outboxRig, until } from './outbox-rig.ts'

/** How long much work may take on a busy machine. */
const MUCH_MS = 50_000

await onEachDatabase('relays of an outbox', (open: () => Promise<DatabaseRig>) => {
  let rig: OutboxRig | undefined
  const start = async (options?: Parameters<typeof outboxRig>[1]) => {
    rig = await outboxRig(open, options)
    return rig
  }
  afterEach(async () => {
    await rig?.close()
    rig = undefined
  })
  const isEmpty = (one: OutboxRig) => async () => (await one.outbox.stats()).pending === 0

  it('publishes an event as it was added, once when nothing fails, and deletes it', async () => {
    const own = await start()
    const seen: RelayedEvent[] = []
    const { told } = own.relay({ publish: (event) => seen.push(event) })
    const [id] = await own.add({ topic: 'orders', key: 'k', payload: { n: 1 }, headers: { a: 'b' } })
    await until('published', isEmpty(own))
    expect(seen).toEqual([
      {
        id,
        topic: 'orders',
        key: 'k',
        payload: { n: 1 },
        headers: { a: 'b' },
        attempt: 1,
        createdAt: expect.any(Number),
      },
    ])
    expect(Math.abs(Date.now() - (seen[0]?.createdAt ?? 0))).toBeLessThan(10_000)
    expect(await own.outbox.list()).toEqual([])
    expect(told).toEqual([{ type: 'published', ids: [id], attempt: 1 }])
  })

  it('keeps the order of each key under four relays whose publishing fails at random', async () => {
    const own = await start()
    const random = seeded(7)
    const keys = 5
    const perKey = 20
    const events = Array.from({ length: keys * perKey }, (_, n) => ({
      topic: 't',
      key: `k${n % keys}`,
      payload: Math.floor(n / keys),
    }))
    const order = new Map<string, number[]>()
    const inFlight = new Map<string, number>()
    let together = 0
    const publish = async ({ key = '', payload }: RelayedEvent) => {
      inFlight.set(key, (inFlight.get(key) ?? 0) + 1)
      together = Math.max(together, inFlight.get(key) ?? 0)
      await new Promise((resolve) => setTimeout(resolve, random() * 3))
      inFlight.set(key, (inFlight.get(key) ?? 0) - 1)
      if (random() < 0.15) throw new Error('the broker is moody')
      order.set(key, [...(order.get(key) ?? []), payload as number])
    }
    for (const outbox of [own.outbox, own.another(), own.another(), own.another()]) {
      own.relay({ publish, batchSize: 7, concurrency: 3, maxAttempts: Infinity }, outbox)
    }
    for (let from = 0; from < events.length; from += 10) await own.add(...events.slice(from, from + 10))
    await until('published', isEmpty(own), MUCH_MS)
    expect(together).toBe(1)
    const wanted = Array.from({ length: perKey }, (_, n) => n)
    expect([...order].sort()).toEqual(Array.from({ length: keys }, (_, n) => [`k${n}`, wanted]))
  }, 60_000)

  it('drains ten thousand events in batches, with two relays, each event once', async () => {
    const own = await start()
    const count = 10_000
    const events = Array.from({ length: count }, (_, n) => ({ topic: 't', key: `k${n % 50}`, payload: n }))
    await own.add(...events)
    const seen: number[] = []
    let calls = 0
    const publishBatch = (batch: readonly RelayedEvent[]) => {
      calls += 1
      for (const { payload } of batch) seen.push(payload as number)
    }
    for (const outbox of [own.outbox, own.another()]) own.relay({ publishBatch, batchSize: 500 }, outbox)
    await until('published', isEmpty(own), MUCH_MS)
    expect(seen).toHaveLength(count)
    expect(new Set(seen).size).toBe(count)
    expect(calls).toBeLessThan(200)
    for (let key = 0; key < 50; key += 1) {
      const ofKey = seen.filter((n) => n % 50 === key)
      expect(ofKey).toEqual([...ofKey].sort((a, b) => a - b))
    }
  }, 60_000)

  it('lets other keys go on while one waits for its next attempt', async () => {
    const own = await start()
    const seen: unknown[] = []
    const publish = ({ payload }: RelayedEvent) => {
      if (payload === 'bad') throw new Error('never')
      seen.push(payload)
    }
    own.relay({ publish, backOffMs: 60_000, maxBackOffMs: 60_000 })
    await own.add(
      { topic: 't', key: 'a', payload: 'bad' },
      { topic: 't', key: 'a', payload: 'behind' },
      { topic: 't', key: 'b', payload: 'b' },
      { topic: 'u', key: 'a', payload: 'another topic' },
      { topic: 't', payload: 'no key' },
    )
    await until('the others', () => seen.length === 3)
    expect([...seen].sort()).toEqual(['another topic', 'b', 'no key'])
    await until('settled', async () => (await own.outbox.stats()).waiting === 1)
    const [bad, behind] = await own.outbox.list()
    expect(bad).toMatchObject({
      state: 'waiting',
      blocks: true,
      attempts: 1,
      history: [{ event: 'failed', attempt: 1, note: 'Error: never' }],
    })
    expect(behind).toMatchObject({ state: 'ready', attempts: 0 })
  })

  it('takes only the topics that it was told', async () => {
    const own = await start()
    const seen: unknown[] = []
    own.relay({ publish: ({ topic }) => seen.push(topic), topics: ['a', 'ö'] })
    await own.add(...['b', 'a ', 'ö', 'a', 'A'].map((topic) => ({ topic, payload: 1 })))
    await until('published', () => seen.length >= 2)
    await until('settled', async () => (await own.outbox.stats()).leased === 0)
    expect([...seen].sort()).toEqual(['a', 'ö'])
    expect((await own.outbox.list()).map(({ topic, state }) => [topic, state])).toEqual([
      ['b', 'ready'],
      ['a ', 'ready'],
      ['A', 'ready'],
    ])
    expect(await own.outbox.list({ topic: 'a' })).toEqual([])
  })

  it('finds nothing to tell of while there is nothing to publish', async () => {
    let pauses = 0
    const timers: Timers = {
      after(...given) {
        pauses += 1
        return systemTimers.after(...given)
      },
    }
    const own = await start()
    const { told } = own.relay({ publish() {}, pollMs: 1 }, own.another({ timers }))
    await until('it has looked often', () => pauses > 50)
    expect(told).toEqual([])
  })

  it('outlives an observer that rejects', async () => {
    const own = await start()
    own.relay({ publish() {}, observer: async () => Promise.reject(new Error('of the observer')) })
    await own.add({ topic: 't', payload: 1 })
    await until('published', isEmpty(own))
  })

  it('refuses options that make no sense', async () => {
    const { outbox } = await start()
    const publish = () => {}
    for (const options of [
      {},
      { publish, publishBatch: publish },
      { publish: 1 },
      { publish, onDead: 'x' },
      { publish, batchSize: 0 },
      { publish, leaseMs: 5 },
      { publish, topics: [''] },
      { publish, some: 1 },
    ]) {
      expect(() => outbox.relay(options as never), JSON.stringify(options)).toThrow(TypeError)
    }
  })
})

/** Numbers from 0 to 1, the same for the same seed. */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}
