import { describe, expect, it } from 'vitest'
import { operationId } from '../../core/identity.ts'
import type { OperationId } from '../../core/operation.ts'
import { faultPoints } from '../../testing/fault-points.ts'
import { memoryStore } from '../memory/index.ts'
import { type ShardedStoreOptions, shardedStore } from './index.ts'
import type { ShardStore } from './shard.ts'

const OLD = ['a', 'b']
const NEW = ['a', 'b', 'c']
const RETENTION_MS = 60_000

/** Three shards, of which the third is new, and an operation that the third one takes over. */
function movingShards() {
  let now = Date.UTC(2026, 0, 1)
  const clock = { now: () => now, monotonic: () => now }
  const shards: Record<string, ShardStore> = {
    a: memoryStore({ clock }),
    b: memoryStore({ clock }),
    c: memoryStore({ clock }),
  }
  const open = (options: ShardedStoreOptions = {}) => shardedStore(shards, options)
  const before = open({ layout: OLD, otherLayouts: [NEW] })
  const after = open({ layout: NEW, otherLayouts: [OLD] })
  const moved = idWhere((id) => after.homeOf(id) === 'c' && before.homeOf(id) === 'a')
  return {
    shards,
    open,
    before,
    after,
    moved,
    pass: (ms: number) => {
      now += ms
    },
  }
}

function idWhere(fits: (id: OperationId) => boolean): OperationId {
  for (let at = 0; ; at++) {
    const id = operationId('shop', `order ${at}`)
    if (fits(id)) return id
  }
}

let owners = 0
const claimOf = (id: OperationId, over: object = {}) => ({
  id,
  owner: `owner-${owners++}`,
  leaseMs: 1000,
  retentionMs: RETENTION_MS,
  onCrash: 'hold' as const,
  ...over,
})

const receipt = { kind: 'value', value: new TextEncoder().encode('receipt') } as const

async function granted(store: ShardStore, id: OperationId, over: object = {}) {
  const reply = await store.claim(claimOf(id, over))
  if (reply.state !== 'claimed') throw new Error(`not granted: ${reply.state}`)
  return reply
}

describe('an operation whose home moves', () => {
  it('is replayed from its old shard until its retention ends, and made on its new one afterwards', async () => {
    const { shards, before, after, moved, pass } = movingShards()
    const { claim } = await granted(before, moved)
    await before.complete(claim, receipt, RETENTION_MS)
    expect(await after.claim(claimOf(moved))).toMatchObject({ state: 'done', outcome: receipt })
    pass(RETENTION_MS - 1)
    expect(await after.claim(claimOf(moved))).toMatchObject({ state: 'done', remainingMs: 1 })
    expect(await after.get(moved)).toMatchObject({ state: 'done' })
    expect(await after.find(moved.digest)).toMatchObject({ state: 'done' })
    pass(1)
    const again = await granted(after, moved)
    expect(again.claim.fence).toBeGreaterThan(claim.fence)
    expect(await shards['c']?.get(moved)).toMatchObject({ state: 'running', attempt: 1 })
  })

  it('would run again where the old layout was dropped too early, and the doctor tells', async () => {
    const { before, after, open, moved } = movingShards()
    const { claim } = await granted(before, moved)
    await before.complete(claim, receipt, RETENTION_MS)
    const tooEarly = open({ layout: NEW })
    expect(await tooEarly.doctor()).toContainEqual(
      expect.objectContaining({
        level: 'fail',
        check: 'layout',
        message: expect.stringContaining('shard "a"'),
      }),
    )
    expect((await after.doctor()).filter(({ level }) => level === 'fail')).toEqual([])
    expect(await tooEarly.claim(claimOf(moved))).toMatchObject({ state: 'claimed' })
  })

  it('is running for others while its old shard runs it, and is completed there', async () => {
    const { shards, before, after, moved } = movingShards()
    const { claim } = await granted(before, moved)
    expect(await after.claim(claimOf(moved))).toMatchObject({ state: 'running' })
    expect(await shards['c']?.get(moved)).toBeUndefined()
    expect(await after.renew(claim, 5000)).toBe(true)
    expect(await after.complete(claim, receipt, RETENTION_MS)).toBe(true)
    expect(await before.get(moved)).toMatchObject({ state: 'done' })
  })

  it('refuses another input, on whichever shard the first one is', async () => {
    const { before, after, moved } = movingShards()
    const { claim } = await granted(before, moved, { fingerprint: 'one' })
    expect(await after.claim(claimOf(moved, { fingerprint: 'two' }))).toEqual({ state: 'reused' })
    await before.complete(claim, receipt, RETENTION_MS)
    expect(await after.claim(claimOf(moved, { fingerprint: 'two' }))).toEqual({ state: 'reused' })
  })

  it('becomes held on its old shard when it lapses, is asked about there, and is resolved there', async () => {
    const { before, after, moved, pass } = movingShards()
    await granted(before, moved)
    pass(1000)
    const held = await after.claim(claimOf(moved))
    if (held.state !== 'held') throw new Error(held.state)
    const turn = { fence: held.fence, asks: 0, quietMs: 10, holding: false }
    expect([await after.takeTurn(moved, turn), await after.takeTurn(moved, turn)]).toEqual([true, false])
    const decision = {
      actor: 'ada',
      reason: 'looked it up',
      as: { state: 'done', outcome: receipt },
    } as const
    expect(await after.resolve(moved, { ...decision, fence: held.fence - 1 })).toMatchObject({
      state: 'conflict',
      found: 'held',
    })
    expect(await after.resolve(moved, { ...decision, fence: held.fence })).toMatchObject({
      state: 'resolved',
    })
    expect(await before.claim(claimOf(moved))).toMatchObject({ state: 'done' })
    expect(await after.resolve(operationId('shop', 'unknown'), { ...decision, fence: 1 })).toEqual({
      state: 'absent',
    })
  })

  it('keeps its finished steps, its attempts and its history when it is rerun', async () => {
    const { before, after, moved, pass } = movingShards()
    const { claim } = await granted(before, moved, { onCrash: 'rerun' })
    const step = { name: 'charge', state: 'done', onCrash: 'hold', value: receipt.value } as const
    await before.checkpoint(claim, step)
    pass(1000)
    const reply = await granted(after, moved, { onCrash: 'rerun' })
    expect(reply).toMatchObject({ takenOver: true, steps: [step], claim: { attempt: 2 } })
    expect(await after.checkpoint(reply.claim, { ...step, name: 'mail' })).toBe(true)
    expect(await before.complete(claim, receipt, RETENTION_MS)).toBe(false)
    expect(await after.complete(reply.claim, receipt, RETENTION_MS)).toBe(true)
    expect((await before.get(moved))?.history.map(({ event }) => event)).toEqual([
      'claimed',
      'taken-over',
      'completed',
    ])
  })

  it('cannot be completed by a claim that has expired, and may have been followed on another shard', async () => {
    const { before, after, moved, pass } = movingShards()
    const { claim } = await granted(before, moved, { onCrash: 'rerun' })
    pass(1000 + RETENTION_MS)
    const next = await granted(after, moved, { onCrash: 'rerun' })
    expect(await before.complete(claim, receipt, RETENTION_MS)).toBe(false)
    expect(await after.complete(claim, receipt, RETENTION_MS)).toBe(false)
    expect(await after.complete(next.claim, receipt, RETENTION_MS)).toBe(true)
  })

  it('is the same claim when it is asked for again, unless it has expired meanwhile', async () => {
    const { shards, before, after, moved, pass } = movingShards()
    const request = claimOf(moved, { onCrash: 'rerun' })
    const first = await before.claim(request)
    expect(await before.claim(request)).toEqual(first)
    pass(1000 + RETENTION_MS)
    await granted(after, moved)
    expect(await before.claim(request)).toMatchObject({ state: 'running' })
    expect(await shards['a']?.get(moved)).toBeUndefined()
  })

  it('is given back where a grant whose reply was lost met another one', async () => {
    const { shards, moved, pass } = movingShards()
    const c = faultPoints(shards['c'] as ShardStore, { 'claim:after': [{ do: 'throw' }] })
    const store = shardedStore({ ...shards, c: c.store }, { layout: NEW, otherLayouts: [OLD] })
    const request = claimOf(moved)
    await expect(store.claim(request)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    pass(1)
    expect(await shards['a']?.claim(claimOf(moved))).toMatchObject({ state: 'claimed' })
    expect(await store.claim(request)).toMatchObject({ state: 'running' })
    expect(await shards['c']?.get(moved)).toMatchObject({ state: 'released' })
  })

  it('is never granted to a nonce whose claim is being given back, however long that takes', async () => {
    const { shards, moved, pass } = movingShards()
    const [a, inner] = [shards['a'] as ShardStore, shards['c'] as ShardStore]
    const brief = { leaseMs: 1, retentionMs: 1, onCrash: 'rerun' }
    const meets = async () => void (await granted(a, moved, brief))
    const c = faultPoints(inner, {
      'claim:after': [{ do: 'run', run: meets }],
      'release:before': { do: 'hang' },
    })
    const timers = {
      after(_ms: number, callback: () => void) {
        const soon = setImmediate(callback)
        return () => clearImmediate(soon)
      },
    }
    const store = shardedStore({ ...shards, c: c.store }, { layout: NEW, otherLayouts: [OLD], timers })
    const request = claimOf(moved)
    expect(await store.claim(request)).toMatchObject({ state: 'running' })
    pass(2)
    expect(await store.claim(request)).toMatchObject({ state: 'running' })
    c.heal()
    while ((await inner.get(moved))?.state !== 'released') await new Promise((soon) => setImmediate(soon))
    expect(await store.claim(claimOf(moved))).toMatchObject({ state: 'claimed' })
  })

  it('wakes those who wait on either side', async () => {
    const { before, after, moved } = movingShards()
    const { claim } = await granted(before, moved)
    const stop = new AbortController()
    const woken = after.watch(moved, stop.signal)
    await before.complete(claim, receipt, RETENTION_MS)
    await woken
    stop.abort()
    await after.watch(moved, stop.signal)
  })
})

describe('a shard that is down while the layout moves', () => {
  it('stops what could be on it, and is asked nothing about what another shard remembers', async () => {
    const { shards, before, moved } = movingShards()
    const other = idWhere((id) => id.key !== moved.key && before.homeOf(id) === 'a')
    const c = faultPoints(shards['c'] as ShardStore, { 'get:before': { do: 'throw' } })
    const store = shardedStore({ ...shards, c: c.store }, { layout: OLD, otherLayouts: [['c']] })
    await expect(store.claim(claimOf(other))).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
      effect: 'none',
      message: /shard "c"/,
    })
    await expect(store.get(other)).rejects.toMatchObject({ message: /shard "c"/ })
    const { claim } = await granted(before, other)
    expect(await store.claim(claimOf(other))).toMatchObject({ state: 'running' })
    await before.complete(claim, receipt, RETENTION_MS)
    expect(await store.claim(claimOf(other))).toMatchObject({ state: 'done' })
    expect(await store.get(other)).toMatchObject({ state: 'done' })
  })

  it('grants nothing when it goes down between the claim and the second look; the same nonce is granted later', async () => {
    const { shards, moved } = movingShards()
    const a = faultPoints(shards['a'] as ShardStore, { 'get:before': [undefined, { do: 'throw' }] })
    const store = shardedStore({ ...shards, a: a.store }, { layout: NEW, otherLayouts: [OLD] })
    const request = claimOf(moved)
    await expect(store.claim(request)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE', effect: 'none' })
    expect(a.fired('get:before')).toBe(1)
    const reply = await store.claim(request)
    expect(reply).toMatchObject({ state: 'claimed', claim: { attempt: 1 } })
  })

  it('does not keep a claim it has granted from being completed', async () => {
    const { shards, moved } = movingShards()
    const a = faultPoints(shards['a'] as ShardStore, { 'complete:before': { do: 'throw' } })
    const store = shardedStore({ ...shards, a: a.store }, { layout: NEW, otherLayouts: [OLD] })
    const { claim } = await granted(store, moved)
    expect(await store.complete(claim, receipt, RETENTION_MS)).toBe(true)
    const stranger = shardedStore({ ...shards, a: a.store }, { layout: OLD, otherLayouts: [NEW] })
    expect(await stranger.renew(claim, 10).catch(() => 'unknown')).toBe(false)
    expect(await stranger.complete(claim, receipt, RETENTION_MS)).toBe(true)
  })
})

describe('the roll-out of a layout', () => {
  it('never runs an operation twice, in any mix of neighbouring stages', async () => {
    const stages: readonly ShardedStoreOptions[] = [
      { layout: OLD },
      { layout: OLD, otherLayouts: [NEW] },
      { layout: NEW, otherLayouts: [OLD] },
    ]
    for (let stage = 0; stage + 1 < stages.length; stage++) {
      const { open, moved } = movingShards()
      const [left, right] = [open(stages[stage]), open(stages[stage + 1])]
      const replies = await Promise.all(
        Array.from({ length: 10 }, (_, at) => (at % 2 === 0 ? left : right).claim(claimOf(moved))),
      )
      expect(replies.filter(({ state }) => state === 'claimed').length).toBeLessThanOrEqual(1)
    }
  })

  it('tells when the old layout may be dropped', async () => {
    const { before, after, moved, pass } = movingShards()
    const layoutOf = async () => (await after.doctor()).filter(({ check }) => check === 'layout')
    const { claim } = await granted(before, moved)
    expect(await layoutOf()).toMatchObject([
      { level: 'warn', message: /shard "a" holds 1 operations of another layout/ },
    ])
    await before.complete(claim, receipt, RETENTION_MS)
    expect(await layoutOf()).toMatchObject([{ level: 'ok', message: /1 or more are still remembered/ }])
    pass(RETENTION_MS)
    expect(await layoutOf()).toMatchObject([{ level: 'ok', message: /0 or more are still remembered/ }])
  })
})
