/** Leases of events, on every database: crashes, pauses, renewals, the end of a relay. */
import { afterEach, expect, it } from 'vitest'
import type { RelayedEvent } from '../../src/outbox/index.ts'
import { type DatabaseRig, onEachDatabase } from '../databases/on-each-database.ts'
import { gate, type OutboxRig, outboxRig, until } from './outbox-rig.ts'

await onEachDatabase('relays that end or stand still', (open: () => Promise<DatabaseRig>) => {
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

  it('publishes again with the same id what a relay has left, after its lease', async () => {
    const own = await start()
    const dying = own.another()
    const [before, after] = await own.add(
      { topic: 'a', key: '1', payload: 1 },
      { topic: 'b', key: '2', payload: 2 },
    )
    const seen: [string, number][] = []
    // One that dies before it publishes, and one that dies when it has published: its acknowledgement never comes.
    await crashed(own, dying, { topics: ['a'], publish: () => {} })
    await crashed(own, dying, { topics: ['b'], publish: ({ id, attempt }) => void seen.push([id, attempt]) })
    expect((await own.outbox.stats()).pending).toBe(2)
    expect(seen).toEqual([[after, 1]])
    own.relay({ publish: ({ id, attempt }) => void seen.push([id, attempt]) })
    await until('published', isEmpty(own))
    expect(new Map(seen.slice(1))).toEqual(
      new Map([
        [before, 2],
        [after, 2],
      ]),
    )
  })

  it('lets a relay that was paused past its lease change nothing', async () => {
    const own = await start()
    const { opened, open: goOn } = gate()
    const zombie = own.another()
    const began = gate()
    const slow = own.relay(
      {
        leaseMs: 60_000,
        async publish() {
          began.open()
          await opened
        },
      },
      zombie,
    )
    const ids = await own.add(...[1, 2].map((payload) => ({ topic: 't', key: 'k', payload })))
    await began.opened
    // It takes nothing more, as if it stood still; on the server its lease is over, and it does not know.
    const stopped = slow.stop({ graceMs: 20_000 })
    await own.db.sql('UPDATE onceward_outbox SET until = 1')
    const seen: unknown[] = []
    const block = gate()
    const healthy = own.relay(
      {
        async publish({ id, attempt }) {
          seen.push([id, attempt])
          await block.opened
        },
      },
      own.another(),
    )
    await until('taken over', () => seen.length === 1)
    // Only now does the other one wake up, acknowledges the first and gives back the second.
    goOn()
    await stopped
    expect(slow.told.map(({ type }) => type)).toContain('lost')
    expect((await own.outbox.list()).map(({ state, attempts }) => [state, attempts])).toEqual([
      ['leased', 2],
      ['leased', 2],
    ])
    block.open()
    await until('published', isEmpty(own))
    expect(seen).toEqual([
      [ids[0], 2],
      [ids[1], 2],
    ])
    expect(healthy.told.map(({ type }) => type)).toEqual(['published', 'published'])
  })

  it('aborts when the lease may be over by its own clock, though the server is not heard of', async () => {
    const own = await start()
    let skew = 0
    const clock = { now: () => Date.now() + skew, monotonic: () => performance.now() + skew }
    const other = own.another({ clock })
    const aborted = gate()
    const began = gate()
    const relay = own.relay(
      {
        leaseMs: 300,
        publish: (_, { signal }) =>
          new Promise<void>((resolve) => {
            signal.addEventListener('abort', () => aborted.open())
            began.open()
            void aborted.opened.then(resolve)
          }),
      },
      other,
    )
    await own.add({ topic: 't', payload: 1 })
    await began.opened
    skew += 1000
    await aborted.opened
    await until('told', () => relay.told.some(({ type }) => type === 'lost'))
    await relay.stop({ graceMs: 0 })
  })

  it('counts a lease from when the event was taken, however long the wait for other relays was', async () => {
    const own = await start()
    const leaseMs = 3000
    let skew = 0
    const clock = { now: () => Date.now() + skew, monotonic: () => performance.now() + skew }
    await own.add({ topic: 't', payload: 1 })
    const relay = await own.db.transact(async ({ sql }) => {
      // What a claim of another relay holds; on SQLite the transaction is that already.
      if (own.db.dialect !== 'sqlite')
        await sql('SELECT id FROM onceward_outbox_gate WHERE id = 1 FOR UPDATE')
      const waiting = own.relay({ leaseMs, publish: () => {} }, own.another({ clock }))
      // It asks at once, and cannot be answered before this transaction is over.
      skew = leaseMs * 1.5
      return waiting
    })
    await until('published', isEmpty(own))
    expect(relay.told.map(({ type }) => type)).toEqual(['published'])
    expect(relay.told[0]).toMatchObject({ attempt: 1 })
  })

  it('renews the lease of what takes long, so that nobody else publishes it', async () => {
    const own = await start()
    const release = gate()
    const attempts: number[] = []
    const publish = async ({ attempt }: RelayedEvent) => {
      attempts.push(attempt)
      await release.opened
    }
    own.relay({ publish, leaseMs: 4500, publishTimeoutMs: 60_000 })
    own.relay({ publish, leaseMs: 4500, publishTimeoutMs: 60_000 }, own.another())
    const [id = ''] = await own.add({ topic: 't', key: 'k', payload: 1 })
    await until('taken', () => attempts.length === 1)
    const first = (await own.outbox.get(id))?.until ?? 0
    await until('renewed twice', async () => ((await own.outbox.get(id))?.until ?? 0) > first + 2500)
    release.open()
    await until('published', isEmpty(own))
    expect(attempts).toEqual([1])
  })

  it('gives back what it has not begun when it is stopped, and waits for what runs', async () => {
    const own = await start()
    const began = gate()
    const release = gate()
    const seen: unknown[] = []
    const relay = own.relay({
      concurrency: 1,
      async publish({ payload }) {
        began.open()
        await release.opened
        seen.push(payload)
      },
    })
    await own.add(...[1, 2, 3].map((payload) => ({ topic: 't', key: 'k', payload })))
    await began.opened
    const stopped = relay.stop({ graceMs: 20_000 })
    release.open()
    await stopped
    expect(seen).toEqual([1])
    expect((await own.outbox.list()).map(({ state, attempts }) => [state, attempts])).toEqual([
      ['ready', 0],
      ['ready', 0],
    ])
    expect(() => relay.start()).toThrow(/stopped/)
  })

  it('aborts what still runs after the grace, for the next relay to publish at once', async () => {
    const own = await start()
    const began = gate()
    const relay = own.relay({
      publish: (_, { signal }) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason))
          began.open()
        }),
    })
    await own.add({ topic: 't', key: 'k', payload: 1 })
    await began.opened
    await relay.stop({ graceMs: 10 })
    const attempts: number[] = []
    own.relay({ publish: ({ attempt }) => attempts.push(attempt) })
    await until('published', isEmpty(own))
    expect(attempts).toEqual([2])
  })

  it('makes no event dead by being stopped: the next relay has an attempt left', async () => {
    const own = await start()
    const began = gate()
    const relay = own.relay({ maxAttempts: 1, publish: () => new Promise(() => began.open()) })
    await own.add({ topic: 't', key: 'k', payload: 1 })
    await began.opened
    await relay.stop({ graceMs: 1 })
    let published = 0
    own.relay({ maxAttempts: 1, publish: () => void published++ })
    await until('published', isEmpty(own))
    expect(published).toBe(1)
  })
})

/** A relay that ends without a word as soon as it has published one event: its acknowledgement gets lost. */
async function crashed(
  own: OutboxRig,
  outbox: OutboxRig['outbox'],
  options: { readonly topics: readonly string[]; readonly publish: (event: RelayedEvent) => void },
): Promise<void> {
  const published = gate()
  const relay = outbox.relay({
    ...options,
    pollMs: 20,
    leaseMs: 60_000,
    publish(event) {
      options.publish(event)
      published.open()
      return new Promise(() => {})
    },
  })
  relay.start()
  await published.opened
  // As if it were gone: nothing of what it holds is its own any more, and its lease has run out.
  await own.db.sql("UPDATE onceward_outbox SET owner = 'gone' WHERE state = 'leased'")
  await relay.stop({ graceMs: 0 })
  await own.db.sql("UPDATE onceward_outbox SET until = 1 WHERE state = 'leased'")
}
