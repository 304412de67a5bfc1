import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { createOnce } from '../../src/core/create-once.ts'
import { operationId } from '../../src/core/identity.ts'
import type { OnceEvent } from '../../src/core/observer.ts'
import type { Outcome } from '../../src/core/operation.ts'
import type { ClaimReply, ClaimRequest, OperationStore } from '../../src/core/store.ts'
import { encryptedStore } from '../../src/stores/encrypted/index.ts'
import { memoryStore } from '../../src/stores/memory/index.ts'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import {
  memoryCache,
  type OperationCache,
  type TieredOptions,
  tieredStore,
} from '../../src/stores/tiered/index.ts'
import { manualTime } from '../../src/testing/manual-time.ts'

const DAY_MS = 86_400_000
const bytes = (text: string) => new TextEncoder().encode(text)
const receipt: Outcome = { kind: 'value', value: bytes('receipt') }

let owners = 0
function asks(key: string, over: Partial<ClaimRequest> = {}): ClaimRequest {
  const id = operationId('payments', key)
  return { id, owner: `owner-${++owners}`, leaseMs: DAY_MS, retentionMs: DAY_MS, onCrash: 'hold', ...over }
}

/** A tiered store whose inner claims are counted. */
function bench(options: Partial<TieredOptions> = {}) {
  const time = manualTime()
  const clock = { now: time.now, monotonic: time.monotonic }
  const inner = memoryStore({ clock })
  const asked: string[] = []
  const store: OperationStore = {
    ...inner,
    claim: (request) => {
      asked.push(request.id.key)
      return inner.claim(request)
    },
  }
  const cache = memoryCache({ clock })
  const tiered = tieredStore({ cache, store, clock, ...options })
  return { time, clock, inner, store, cache, tiered, asked }
}

/** Lets what is told to the cache behind the back of the callers arrive there. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
}

async function ends(store: OperationStore, request: ClaimRequest, outcome: Outcome = receipt): Promise<void> {
  const reply = await store.claim(request)
  if (reply.state !== 'claimed') throw new Error(`was ${reply.state}`)
  await store.complete(reply.claim, outcome, request.retentionMs)
}

/** Ends an operation and lets one duplicate ask, so that the cache knows of it. */
async function cached(store: OperationStore, request: ClaimRequest, outcome?: Outcome): Promise<ClaimReply> {
  await ends(store, request, outcome)
  const reply = await store.claim({ ...request, owner: `owner-${++owners}` })
  await settled()
  return reply
}

describe('a tiered store', () => {
  it('lets the store answer the first duplicate and the cache all later ones, alike', async () => {
    const { tiered, asked } = bench()
    const first = await cached(tiered, asks('a', { fingerprint: 'one' }))
    expect(asked).toEqual(['a', 'a'])
    const second = await tiered.claim(asks('a', { fingerprint: 'one' }))
    expect(second).toEqual(first)
    expect(asked).toEqual(['a', 'a'])
    expect(tiered.cacheState()).toMatchObject({ state: 'closed', hits: 1, misses: 2 })
  })

  it('tells every kind of outcome as it was stored', async () => {
    const { tiered } = bench()
    const outcomes: readonly Outcome[] = [
      { kind: 'value', value: new Uint8Array(0) },
      { kind: 'value', value: Uint8Array.from({ length: 256 }, (_, byte) => byte) },
      { kind: 'failure', failure: { name: 'E', message: 'no \u{1F4B0} \uD800', effect: 'none' } },
      { kind: 'failure', failure: { name: 'E', message: '', code: 'X', effect: 'unknown' } },
      { kind: 'unreplayable', reason: 'too large' },
      { kind: 'unreplayable', reason: 'too large', note: bytes('Location: /1') },
    ]
    for (const [index, outcome] of outcomes.entries()) {
      await cached(tiered, asks(`k${index}`), outcome)
      expect(await tiered.claim(asks(`k${index}`))).toMatchObject({ state: 'done', outcome })
    }
    expect(tiered.cacheState().hits).toBe(outcomes.length)
  })

  it('tells the time the store remembers it, however long the cache does', async () => {
    const { tiered, time } = bench({ keepMs: 60_000 })
    await cached(tiered, asks('a'))
    await time.advance(20_000)
    expect(await tiered.claim(asks('a'))).toMatchObject({ remainingMs: DAY_MS - 20_000 })
    expect(tiered.cacheState().hits).toBe(1)
    await time.advance(50_000)
    expect(await tiered.claim(asks('a'))).toMatchObject({ remainingMs: DAY_MS - 70_000 })
    expect(tiered.cacheState().hits).toBe(1)
  })

  it('leaves it to the store to say that a key belongs to another input', async () => {
    const { tiered, asked } = bench()
    await cached(tiered, asks('a', { fingerprint: 'one' }))
    expect(await tiered.claim(asks('a', { fingerprint: 'two' }))).toEqual({ state: 'reused' })
    expect(asked).toHaveLength(3)
    expect(await tiered.claim(asks('a', { fingerprint: 'one' }))).toMatchObject({ state: 'done' })
    expect(asked).toHaveLength(3)
  })

  it('does not take an input for known that was never compared', async () => {
    const { tiered } = bench()
    const request = asks('a', { fingerprint: 'one' })
    await ends(tiered, request)
    await tiered.claim(asks('a'))
    await settled()
    expect(await tiered.claim(asks('a', { fingerprint: 'two' }))).toEqual({ state: 'reused' })
    expect(await tiered.claim(asks('a'))).toMatchObject({ state: 'done' })
    expect(tiered.cacheState().hits).toBe(1)
  })

  it('runs again when the retention is over, even if the cache remembers for longer', async () => {
    const { tiered, time, cache } = bench()
    const forgetful: OperationCache = {
      ...cache,
      look: async (digests) =>
        (await cache.look(digests)).map(
          (kept) => kept && { ...kept, remainingMs: kept.remainingMs + DAY_MS },
        ),
      keep: (entries) => cache.keep(entries.map((entry) => ({ ...entry, ttlMs: 10 * DAY_MS }))),
    }
    const stubborn = tieredStore({ cache: forgetful, store: tiered, clock: time })
    const request = asks('a', { retentionMs: 10_000 })
    await cached(stubborn, request)
    expect((await stubborn.claim(asks('a'))).state).toBe('done')
    await time.advance(16_000)
    expect((await stubborn.claim(asks('a'))).state).toBe('claimed')
    expect(stubborn.cacheState().refused).toBe(1)
  })

  it.each(['another operation', 'a cut', 'a flipped bit', 'another version', 'foreign bytes'])(
    'does not believe an entry that is %s, asks the store and mends it',
    async (kind) => {
      const { tiered, cache, clock } = bench()
      await cached(tiered, asks('a'))
      await cached(tiered, asks('b'), { kind: 'value', value: bytes('canary') })
      const [a, b] = [asks('a').id.digest, asks('b').id.digest]
      const [ofA, ofB] = await cache.look([a, b])
      const good = Uint8Array.from(ofA?.bytes ?? [])
      const flipped = Uint8Array.from(good)
      flipped[good.length - 1] = (flipped[good.length - 1] ?? 0) ^ 1
      const bad: Readonly<Record<string, Uint8Array>> = {
        'another operation': ofB?.bytes ?? good,
        'a cut': good.subarray(0, good.length - 1),
        'a flipped bit': flipped,
        'another version': Uint8Array.from([2, ...good.subarray(1)]),
        'foreign bytes': bytes('{"hello":"world"}'),
      }
      await cache.keep([{ digest: a, bytes: bad[kind] ?? good, ttlMs: clock.now() }])
      expect(await tiered.claim(asks('a'))).toMatchObject({ state: 'done', outcome: receipt })
      expect(tiered.cacheState()).toMatchObject({ hits: 0, refused: 1 })
      await settled()
      expect(await tiered.claim(asks('a'))).toMatchObject({ state: 'done', outcome: receipt })
      expect(tiered.cacheState().hits).toBe(1)
    },
  )

  it('believes made-up outcomes without a secret, and with one only those of its holders', async () => {
    const secret = 'a secret of many bytes'
    const { tiered, cache, store, clock } = bench({ secret })
    const forger = tieredStore({ cache, store: memoryStore({ clock }), clock })
    await cached(forger, asks('a'), { kind: 'value', value: bytes('forged') })
    expect((await tiered.claim(asks('a'))).state).toBe('claimed')
    expect(tiered.cacheState().refused).toBe(1)
    await cached(tiered, asks('b'))
    const holder = tieredStore({ cache, store, clock, secret })
    expect((await holder.claim(asks('b'))).state).toBe('done')
    expect(holder.cacheState().hits).toBe(1)
  })

  it('caches nothing that is larger than it may be', async () => {
    const { tiered, cache } = bench({ maxEntryBytes: 10 })
    await cached(tiered, asks('a'), { kind: 'value', value: new Uint8Array(11) })
    await cached(tiered, asks('b'), { kind: 'value', value: new Uint8Array(10) })
    const [a, b] = await cache.look([asks('a').id.digest, asks('b').id.digest])
    expect([a === undefined, b === undefined]).toEqual([true, false])
  })

  it('writes nothing to the cache in a transaction, and wakes only after the commit', async () => {
    const told: string[] = []
    const quiet = memoryCache()
    const cache: OperationCache = {
      ...quiet,
      keep: async () => void told.push('keep'),
      wake: async () => void told.push('wake'),
    }
    const tiered = tieredStore({ cache, store: sqliteStore(':memory:') })
    const once = createOnce({ store: tiered, scope: 'orders' })
    await once.transaction({ key: 'a' }, () => 1)
    await settled()
    expect(told).toEqual(['wake'])
    await expect(
      once.transaction({ key: 'b' }, () => {
        throw new Error('no stock')
      }),
    ).rejects.toThrow('no stock')
    await settled()
    expect(told).toEqual(['wake'])
    await tiered.close()
  })

  it('wakes those who wait in another process by way of the cache', async () => {
    const { inner, cache, clock } = bench()
    const { watch: _, ...mute } = inner
    const [a, b] = [tieredStore({ cache, store: mute, clock }), tieredStore({ cache, store: mute, clock })]
    const reply = await a.claim(asks('a'))
    if (reply.state !== 'claimed') throw new Error(reply.state)
    const woken = b.watch(reply.claim.id, new AbortController().signal)
    await a.complete(reply.claim, receipt, DAY_MS)
    await woken
    expect((await b.claim(asks('a'))).state).toBe('done')
  })

  it('keeps what the store can do, and what it has beside', () => {
    const store = sqliteStore(':memory:')
    const tiered = tieredStore({ cache: memoryCache(), store })
    expect(tiered.capabilities).toEqual(store.capabilities)
    expect(tiered.database).toBe(store.database)
    expect(Object.keys(tiered)).toEqual(expect.arrayContaining(Object.keys(store)))
  })

  it('passes on what is wrong with the store as the store says it', async () => {
    const { tiered, inner } = bench()
    const broken = tieredStore({
      cache: memoryCache(),
      store: { ...inner, claim: (_request) => Promise.reject(new Error('the store is on fire')) },
    })
    await expect(broken.claim(asks('a'))).rejects.toThrow('the store is on fire')
    await tiered.close()
  })
})

describe('the cache of a tiered store', () => {
  /** A cache that does what it is told. */
  function moody(cache: OperationCache) {
    const mood = { now: 'well' as 'well' | 'failing' | 'silent', calls: 0 }
    const through =
      <Given extends readonly unknown[], Reply>(call: (...given: Given) => Promise<Reply>) =>
      (...given: Given): Promise<Reply> => {
        mood.calls++
        if (mood.now === 'failing') return Promise.reject(new Error('LOADING the cache is not ready'))
        return mood.now === 'silent' ? new Promise(() => {}) : call(...given)
      }
    const moodyCache: OperationCache = {
      ...cache,
      look: through(cache.look),
      keep: through(cache.keep),
      forget: through(cache.forget),
      wake: through(cache.wake),
    }
    return { mood, cache: moodyCache }
  }

  it('is left alone after a few failures, probed behind the back of the callers, and used again', async () => {
    const time = manualTime()
    const told: OnceEvent[] = []
    const { mood, cache } = moody(memoryCache({ clock: time }))
    const tiered = tieredStore({
      cache,
      store: memoryStore({ clock: time }),
      clock: time,
      timers: time,
      observer: (event) => told.push(event),
      openAfter: 3,
      retryAfterMs: 1000,
    })
    mood.now = 'failing'
    for (const key of ['a', 'b']) await tiered.claim(asks(key))
    expect(tiered.cacheState()).toMatchObject({ state: 'closed', failures: 2 })
    await tiered.claim(asks('c'))
    const opened = tiered.cacheState()
    expect(opened).toMatchObject({ state: 'open', failures: 3, opened: 1, since: time.now() })
    expect(opened.lastError).toContain('LOADING')
    expect(told).toMatchObject([{ type: 'cache-opened', digest: '' }])

    const before = mood.calls
    for (const key of ['d', 'e', 'f']) expect((await tiered.claim(asks(key))).state).toBe('claimed')
    expect(mood.calls).toBe(before)
    expect(tiered.cacheState().skipped).toBeGreaterThanOrEqual(3)

    await time.advance(1000)
    await Promise.all(['g', 'h', 'i'].map((key) => tiered.claim(asks(key))))
    expect(mood.calls).toBe(before + 1)
    expect(tiered.cacheState()).toMatchObject({ state: 'open', opened: 1 })

    mood.now = 'well'
    await time.advance(1000)
    expect((await tiered.claim(asks('j'))).state).toBe('claimed')
    await settled()
    expect(tiered.cacheState()).toMatchObject({ state: 'closed', failures: 0 })
    expect(told.map(({ type }) => type)).toEqual(['cache-opened', 'cache-closed'])
  })

  it('that never answers delays a claim by its time, and then no more', async () => {
    const time = manualTime()
    const { mood, cache } = moody(memoryCache({ clock: time }))
    const tiered = tieredStore({
      cache,
      store: memoryStore({ clock: time }),
      clock: time,
      timers: time,
      cacheTimeoutMs: 50,
      openAfter: 1,
    })
    mood.now = 'silent'
    const startedAt = time.now()
    const slow = tiered.claim(asks('a')).then((reply) => ({ reply, after: time.now() - startedAt }))
    await time.advance(200)
    expect(await slow).toMatchObject({ reply: { state: 'claimed' }, after: 50 })
    expect((await tiered.claim(asks('b'))).state).toBe('claimed')
    expect(tiered.cacheState()).toMatchObject({
      state: 'open',
      lastError: 'the cache did not answer within 50 ms',
    })
  })

  it('is reported on by the doctor', async () => {
    const { mood, cache } = moody(memoryCache())
    const tiered = tieredStore({ cache, store: memoryStore() })
    const ofCache = async () => (await tiered.doctor()).filter(({ check }) => check === 'cache')
    expect(await ofCache()).toMatchObject([{ level: 'ok' }])
    mood.now = 'failing'
    expect(await ofCache()).toMatchObject([{ level: 'warn', message: expect.stringContaining('LOADING') }])
  })

  it('never makes an end fail or wait', async () => {
    const time = manualTime()
    const { mood, cache } = moody(memoryCache({ clock: time }))
    const tiered = tieredStore({ cache, store: memoryStore({ clock: time }), clock: time, timers: time })
    const reply = await tiered.claim(asks('a'))
    if (reply.state !== 'claimed') throw new Error(reply.state)
    mood.now = 'silent'
    expect(await tiered.complete(reply.claim, receipt, DAY_MS)).toBe(true)
  })
})

describe('a tiered store inside an encrypted one', () => {
  const keys = [{ id: 'k1', key: Buffer.alloc(32, 7) }]

  it('puts no byte of an outcome into the cache that can be read, and replays it', async () => {
    const { tiered, cache, asked } = bench()
    const once = createOnce({ store: encryptedStore(tiered, { keys }), scope: 'sealed', cache: false })
    for (let time = 0; time < 4; time++) {
      expect(await once.run({ key: 'k', input: 1 }, () => 'a canary sings')).toBe('a canary sings')
      await settled()
    }
    expect(asked).toHaveLength(2)
    const [kept] = await cache.look([operationId('sealed', 'k').digest])
    expect(kept?.bytes.byteLength).toBeGreaterThan(50)
    expect(Buffer.from(kept?.bytes ?? []).toString('latin1')).not.toContain('canary')
  })

  it('believes no outcome that somebody without the keys has put there, and runs nothing again', async () => {
    const { tiered, cache, clock } = bench()
    const once = createOnce({ store: encryptedStore(tiered, { keys }), scope: 'payments', cache: false })
    await once.run({ key: 'k' }, () => 'honest')
    // The forger knows the layout of the entries: they are sealed without a secret here.
    const forger = tieredStore({ cache, store: memoryStore({ clock }), clock })
    await cached(forger, asks('k'), { kind: 'value', value: bytes('forged') })
    const forged = once.run({ key: 'k' }, () => 'again')
    await expect(forged).rejects.toMatchObject({ code: 'RECORD_CORRUPT', effect: 'done' })
  })
})

describe('tieredStore', () => {
  it.each<[string, object, RegExp]>([
    ['a client in the place of the options', { eval: () => {}, ping: () => {} }, /needs \{ cache, store \}/],
    ['no store', { cache: memoryCache() }, /needs a store that decides/],
    ['no cache', { store: memoryStore() }, /Redis client/],
    ['a promise of a client', { cache: Promise.resolve({}), store: memoryStore() }, /promise/],
    ['an unknown option', { cache: memoryCache(), store: memoryStore(), ttl: 1 }, /unknown field "ttl"/],
    ['a short secret', { cache: memoryCache(), store: memoryStore(), secret: 'short' }, /at least 16 bytes/],
    ['a prefix with spaces', { cache: memoryCache(), store: memoryStore(), prefix: 'a b' }, /prefix/],
    ['no time', { cache: memoryCache(), store: memoryStore(), cacheTimeoutMs: 0 }, /cacheTimeoutMs/],
  ])('refuses %s with the mend', (_, options, message) => {
    expect(() => tieredStore(options as never)).toThrow(message)
    expect(() => tieredStore(options as never)).toThrow(TypeError)
  })

  it('seals entries with SHA-256 of the operation and the bytes, so that no entry fits another place', async () => {
    const { tiered, cache } = bench()
    await cached(tiered, asks('a'))
    const [kept] = await cache.look([asks('a').id.digest])
    const whole = Buffer.from(kept?.bytes ?? [])
    const seal = createHash('sha256').update(asks('a').id.digest).update(whole.subarray(17)).digest()
    expect(whole.subarray(1, 17)).toEqual(seal.subarray(0, 16))
  })
})
