import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { OncewardError } from '../../src/core/errors.ts'
import { createLocks } from '../../src/locks/create-locks.ts'
import type { FencingBackend } from '../../src/locks/lock-backend.ts'
import type { Lease, Locks } from '../../src/locks/lock-types.ts'
import { memoryLocks } from '../../src/locks/memory/index.ts'
import { type ManualTime, manualTime } from '../../src/testing/manual-time.ts'

/** More of them find more: `LOCK_SEEDS=1000`. */
const SEEDS = Number(process.env['LOCK_SEEDS'] ?? 10)

const unhandled: unknown[] = []
const note = (reason: unknown) => unhandled.push(reason)
beforeAll(() => void process.on('unhandledRejection', note))
afterAll(() => void process.off('unhandledRejection', note))

describe('over a backend that fails, loses, delays and never answers at random', () => {
  it.each(Array.from({ length: SEEDS }, (_, n) => n + 1))(
    'nobody believes beside another, and all settles (seed %i)',
    async (seed) => {
      const random = randomOf(seed)
      const time = manualTime()
      const world = { time, random, troubled: true }
      const backend = memoryLocks({ clock: time })
      const processes = Array.from({ length: 3 }, () =>
        createLocks(unruly(backend, world), {
          clock: time,
          timers: time,
          ttlMs: 400,
          localHandovers: random(2) * 3,
          random: { nonce: () => `n${random(1e9)}-${random(1e9)}`, fraction: () => random(1000) / 1000 },
        }),
      )
      const judge = new Judge()
      let working = true
      const workers = processes.flatMap((locks) =>
        Array.from({ length: 4 }, () => worker(locks, world, judge, () => working)),
      )
      for (let step = 0; step < 250; step++) {
        await time.advance(random(60))
        judge.look()
      }
      working = false
      world.troubled = false
      await time.advance(60_000)
      await Promise.all(workers)
      judge.look()
      expect(judge.grants).toBeGreaterThan(20)

      // Whatever was left has lapsed: everything can be had again.
      for (const key of KEYS)
        await (await (processes[0] as Locks<number>).acquire(key, { waitMs: 0 })).release()
      const closing = Promise.all(processes.map((locks) => locks.close()))
      await time.advance(10_000)
      await closing
      expect(time.pending).toBe(0)
      expect(unhandled).toEqual([])
    },
  )
})

const KEYS = ['a', 'b']

interface World {
  readonly time: ManualTime
  readonly random: (below: number) => number
  troubled: boolean
}

/** Knows all leases, and who may count on theirs. */
class Judge {
  grants = 0
  readonly #leases: Lease<number>[] = []

  granted(lease: Lease<number>): void {
    const before = this.#leases.filter(({ key }) => key === lease.key)
    for (const earlier of before) expect(lease.fence).toBeGreaterThan(earlier.fence)
    this.#leases.push(lease)
    this.grants++
    this.look()
  }

  look(): void {
    for (const key of KEYS) {
      const believers = this.#leases.filter((lease) => lease.key === key && lease.remainingMs() > 0)
      expect(believers.length).toBeLessThanOrEqual(1)
    }
  }
}

async function worker(
  locks: Locks<number>,
  { time, random }: World,
  judge: Judge,
  goesOn: () => boolean,
): Promise<void> {
  const sleep = (ms: number) => new Promise<void>((resolve) => void time.after(ms, resolve))
  while (goesOn()) {
    const key = KEYS[random(KEYS.length)] ?? 'a'
    const ttlMs = 100 + random(4) * 100
    const controller = new AbortController()
    const options = { ttlMs, waitMs: random(3000), fair: random(5) > 0, signal: controller.signal }
    if (random(5) === 0) time.after(random(500), () => controller.abort())
    try {
      const { waitMs: _, signal: __, ...hold } = options
      const lease = random(4) === 0 ? await locks.tryAcquire(key, hold) : await locks.acquire(key, options)
      if (lease) {
        judge.granted(lease)
        await sleep(random(150))
        if (random(6) === 0) await lease.extend(100 + random(5) * 100).catch(expected)
        await sleep(random(150))
        if (random(3) === 0) await lease[Symbol.asyncDispose]()
        else await lease.release().catch(expected)
      }
    } catch (error) {
      expected(error)
    }
    await sleep(random(40))
  }
}

function expected(error: unknown): void {
  expect(error).toBeInstanceOf(OncewardError)
  expect(['LOCK_TIMEOUT', 'ABORTED', 'STORE_UNAVAILABLE', 'LOCK_LOST']).toContain(
    (error as OncewardError).code,
  )
}

/** Each call may fail, be delayed on its way there or back, be carried out late, or never be answered. */
function unruly(inner: FencingBackend, world: World): FencingBackend {
  const { time, random } = world
  const sleep = (ms: number) => new Promise<void>((resolve) => void time.after(ms, resolve))
  const never = new Promise<never>(() => {})
  const down = () => new OncewardError('STORE_UNAVAILABLE', 'down')
  const wrap =
    <Args extends readonly unknown[], R>(call: (...args: Args) => Promise<R>) =>
    async (...args: Args): Promise<R> => {
      const what = world.troubled ? random(40) : 39
      if (what === 0) throw down()
      if (what === 1) return never
      if (what < 8) await sleep(random(120))
      if (what === 8) await sleep(5000 + random(3000))
      const reply = await call(...args)
      if (what === 9) throw down()
      if (what === 10) return never
      if (what > 10 && what < 17) await sleep(random(120))
      return reply
    }
  return {
    ...inner,
    acquire: wrap(inner.acquire),
    extend: wrap(inner.extend),
    release: wrap(inner.release),
    watch: (held, wake) =>
      inner.watch?.(held, () => (world.troubled && random(4) === 0 ? undefined : wake())) ?? (() => {}),
    close: async () => {},
  }
}

function randomOf(seed: number): (below: number) => number {
  let state = seed * 7919 + 1
  return (below) => {
    state = (state * 48_271) % 2_147_483_647
    return state % below
  }
}
