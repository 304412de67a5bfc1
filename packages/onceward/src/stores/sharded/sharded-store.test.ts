import { describe, expect, it } from 'vitest'
import { createOnce } from '../../core/create-once.ts'
import { OncewardError } from '../../core/errors.ts'
import { operationId } from '../../core/identity.ts'
import type { OperationId } from '../../core/operation.ts'
import { type MemoryStore, memoryStore } from '../memory/index.ts'
import { shardedStore } from './index.ts'
import type { ShardStore } from './shard.ts'

/** A store that cannot be reached while `down` says so. */
function reachable(store: MemoryStore, down: () => unknown): ShardStore {
  return new Proxy(store, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name, target)
      if (typeof member !== 'function') return member
      return (...args: unknown[]) => {
        const failure = down()
        return failure ? Promise.reject(failure) : Reflect.apply(member, target, args)
      }
    },
  })
}

const unreachable = new OncewardError('STORE_UNAVAILABLE', 'no route to 10.0.0.7', { retryAfterMs: 250 })

/** Two shards of which `b` can be taken down, and an operation on each. */
function twoShards() {
  const state: { failure: unknown } = { failure: undefined }
  const inner = { a: memoryStore(), b: memoryStore() }
  const store = shardedStore({ a: inner.a, b: reachable(inner.b, () => state.failure) })
  const on = (name: string): OperationId => {
    for (let at = 0; ; at++) {
      const id = operationId('shop', `order ${at}`)
      if (store.homeOf(id) === name) return id
    }
  }
  return { state, inner, store, onA: on('a'), onB: on('b') }
}

const claimOf = (id: OperationId, owner = 'ada') => ({
  id,
  owner,
  leaseMs: 60_000,
  retentionMs: 60_000,
  onCrash: 'hold' as const,
})

describe('a shard that is down', () => {
  it('stops its own operations and tells its name; those of the others go on', async () => {
    const { state, store, onA, onB } = twoShards()
    state.failure = unreachable
    await expect(store.claim(claimOf(onB))).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
      effect: 'none',
      retryAfterMs: 250,
      message: 'shard "b": no route to 10.0.0.7',
      cause: unreachable,
    })
    expect(await store.claim(claimOf(onA))).toMatchObject({ state: 'claimed' })
  })

  it('is told as unavailable, whatever its driver throws, without repeating what that said', async () => {
    const { state, store, onB } = twoShards()
    state.failure = new Error('connect to postgres://ada:secret@db failed')
    const error = await store.get(onB).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'STORE_UNAVAILABLE', effect: 'none', cause: state.failure })
    expect((error as Error).message).toBe('shard "b" could not be asked; check that it is up')
  })

  it('makes listings, counts and finds fail rather than leave something out', async () => {
    const { state, store, onA } = twoShards()
    await store.claim(claimOf(onA))
    state.failure = unreachable
    const asked = [
      store.list({}),
      store.stats(),
      store.find(onA.digest.slice(0, 8)),
      store.audit(),
      store.migrate(),
    ]
    for (const call of asked)
      await expect(call).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE', message: /^shard "b"/ })
  })

  it('does not keep the others from being swept and purged, and is told all the same', async () => {
    let now = Date.UTC(2026, 0, 1)
    const clock = { now: () => now, monotonic: () => now }
    let failure: unknown
    const first = reachable(memoryStore({ clock }), () => failure)
    const second = memoryStore({ clock })
    const store = shardedStore([first, second])
    const ids = Array.from({ length: 20 }, (_, at) => operationId('shop', `order ${at}`))
    for (const id of ids) await store.claim({ ...claimOf(id), leaseMs: 10 })
    now += 10
    failure = unreachable
    await expect(store.sweep()).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE', message: /shard-0/ })
    failure = undefined
    const onSecond = ids.filter((id) => store.homeOf(id) === 'shard-1').length
    expect((await second.stats()).held).toBe(onSecond)
    expect(await store.sweep()).toBe(20 - onSecond)
  })

  it('is one finding of the doctor, beside those of the others', async () => {
    const { state, store } = twoShards()
    state.failure = unreachable
    const findings = await store.doctor()
    expect(findings).toContainEqual({
      level: 'fail',
      check: 'shard',
      message: 'shard "b": no route to 10.0.0.7',
    })
    expect(findings).toContainEqual(
      expect.objectContaining({ check: 'durability', message: expect.stringMatching(/^shard "a": Records/) }),
    )
  })
})

describe('a corrupt record on a shard', () => {
  it('keeps its code and its effect', async () => {
    const { state, store, onB } = twoShards()
    state.failure = new OncewardError('RECORD_CORRUPT')
    await expect(store.claim(claimOf(onB))).rejects.toMatchObject({ code: 'RECORD_CORRUPT', effect: 'done' })
  })
})

describe('the sharded store', () => {
  it('can do what all of its shards can, and joins no transaction', () => {
    const silent: ShardStore = {
      ...memoryStore(),
      capabilities: { ...memoryStore().capabilities, push: false },
    }
    const strong: ShardStore = {
      ...memoryStore(),
      capabilities: { durable: true, transactional: 'async', push: true, listing: true, fencing: true },
    }
    expect(shardedStore([strong, strong === silent ? strong : { ...strong }]).capabilities).toEqual({
      durable: true,
      transactional: false,
      push: true,
      listing: true,
      fencing: true,
    })
    expect(shardedStore([strong, silent]).capabilities).toMatchObject({ durable: false, push: false })
    expect(shardedStore([strong, silent])).not.toHaveProperty('claimIn')
  })

  it('runs each of many operations once, and finds all of them again', async () => {
    const inner = Array.from({ length: 4 }, () => memoryStore())
    const once = createOnce({ store: shardedStore(inner), scope: 'shop', cache: false })
    let ran = 0
    const run = (at: number) => once.run({ key: `order ${at}` }, () => `receipt ${at} ${ran++}`)
    const first = await Promise.all(Array.from({ length: 100 }, (_, at) => run(at)))
    const second = await Promise.all(Array.from({ length: 100 }, (_, at) => run(at)))
    expect(second).toEqual(first)
    expect(ran).toBe(100)
    const counts = await Promise.all(inner.map(async (store) => (await store.stats()).done))
    expect(counts.every((count) => count > 10)).toBe(true)
    expect(await (once.store as ReturnType<typeof shardedStore>).stats()).toMatchObject({ done: 100 })
  })

  it('names the shard of each migration', async () => {
    const migrating: ShardStore = { ...memoryStore(), migrate: async () => ['0001-operations'] }
    expect(await shardedStore({ a: migrating, b: memoryStore() }).migrate()).toEqual(['a: 0001-operations'])
  })

  it('pages through shards of very different sizes, each record once, whatever the size of a page', async () => {
    let now = Date.UTC(2026, 0, 1)
    const clock = { now: () => now, monotonic: () => now }
    const store = shardedStore([1, 2, 3].map(() => memoryStore({ clock })))
    const keys: string[] = []
    for (let at = 0; at < 60; at++) {
      const id = operationId('shop', `order ${at}`)
      if (store.homeOf(id) === 'shard-2' && at % 4 > 0) continue
      now += at % 3
      await store.claim(claimOf(id))
      keys.unshift(id.key)
    }
    for (const limit of [1, 2, 7, 1000]) {
      const seen: string[] = []
      let newest = Number.POSITIVE_INFINITY
      let cursor: string | undefined
      do {
        const page = await store.list({ limit, ...(cursor === undefined ? {} : { cursor }) })
        expect(page.records.length).toBeLessThanOrEqual(limit)
        for (const record of page.records) {
          expect(record.createdAt).toBeLessThanOrEqual(newest)
          newest = record.createdAt
          seen.push(record.id.key)
        }
        cursor = page.cursor
      } while (cursor !== undefined)
      expect([...seen].sort()).toEqual([...keys].sort())
    }
  })

  it('refuses a cursor that was handed out for other shards', async () => {
    const three = shardedStore({ a: memoryStore(), b: memoryStore(), c: memoryStore() })
    for (let at = 0; at < 20; at++) await three.claim(claimOf(operationId('shop', `order ${at}`)))
    const { cursor } = await three.list({ limit: 1 })
    const two = shardedStore({ a: memoryStore(), b: memoryStore() })
    await expect(two.list({ cursor: cursor ?? '' })).rejects.toThrow(/start without one/)
  })

  it('closes every shard, also where one of them fails to', async () => {
    const closed: string[] = []
    const closing = (name: string, failure?: Error): ShardStore => ({
      ...memoryStore(),
      async close() {
        closed.push(name)
        if (failure) throw failure
      },
    })
    const store = shardedStore({ a: closing('a', new Error('busy')), b: closing('b') })
    await expect(store.close()).rejects.toMatchObject({ message: /shard "a"/ })
    expect(closed).toEqual(['a', 'b'])
  })
})
