import { expect, it } from 'vitest'
import { memoryLocks } from '../locks/memory/memory-locks.ts'
import { memoryStore } from '../stores/memory/memory-store.ts'
import { catalogConformance } from './catalog-conformance.ts'
import type { ConformanceCase } from './conformance-case.ts'
import { LockModelRun } from './lock-cases/model-run.ts'
import { lockConformance } from './lock-conformance.ts'
import { bindLockCases, type LockRig } from './lock-harness.ts'
import { storeConformance } from './store-conformance.ts'

// On real time a machine may stall before any call, for longer than what is short in a case lasts. A case that fails then
// has assumed something about time, and one run of many fails for it.

const unitMs = 25
const STALL_MS = 4.5 * unitMs

/** Beyond so many calls a case only does again what it did before. */
const CALLS = 40

const AT_ONCE = 150

/** Which call of one run is late. */
interface Stall {
  readonly at: number
  calls: number
  method?: string
}

const SUITES: Readonly<Record<string, (stall: Stall) => readonly ConformanceCase[]>> = {
  stores: (stall) => storeConformance(onRealTime(memoryStore, stall)),
  catalogs: (stall) => catalogConformance(onRealTime(memoryStore, stall)),
  locks: (stall) => {
    const { open, ...harness } = onRealTime(memoryLocks, stall)
    return lockConformance({
      ...harness,
      async open() {
        const { stores, close } = await open()
        return { backends: stores, close }
      },
    })
  },
}

for (const [name, bind] of Object.entries(SUITES)) {
  it(`no rule of ${name} is broken by a call that comes late`, { timeout: 120_000 }, async () => {
    const broken: string[] = []
    const runs: (() => Promise<void>)[] = []
    const cases = bind({ at: 0, calls: 0 }).entries()
    const prepared = [...cases].map(async ([index, { name: rule, skip }]) => {
      if (skip !== undefined) return
      const undisturbed = { at: 0, calls: 0 }
      await bind(undisturbed)[index]?.run()
      for (let at = 1; at <= Math.min(undisturbed.calls, CALLS); at++) {
        runs.push(async () => {
          const stall: Stall = { at, calls: 0 }
          const failed = (error: unknown) => broken.push(`${rule}, ${stall.method} (call ${at}): ${error}`)
          await bind(stall)[index]?.run().catch(failed)
        })
      }
    })
    await Promise.all(prepared)
    expect(runs.length).toBeGreaterThan(200)
    const worker = async () => {
      for (let run = runs.pop(); run; run = runs.pop()) await run()
    }
    await Promise.all(Array.from({ length: AT_ONCE }, worker))
    expect(broken).toEqual([])
  })
}

it('random sequences let end what a place has become, however late they look', {
  timeout: 60_000,
}, async () => {
  const asks = { do: 'acquire', conn: 0, key: 0, shared: false, again: undefined, overtake: false } as const
  const taken = { ...asks, brief: false, place: 'none', fences: 1 } as const
  const offering = { ...asks, brief: true, place: 'long', fences: 5 } as const
  const ways = [
    { do: 'release', conn: 0, key: 0, of: 1, next: undefined, shared: false },
    { do: 'force', conn: 0, key: 0, of: undefined, fence: 'first' },
  ] as const
  for (const way of ways) {
    const locks = memoryLocks()
    const inspect = async (key: string) => {
      await new Promise((resolve) => setTimeout(resolve, 5))
      return locks.inspect(key)
    }
    const looksLate = { ...locks, inspect }
    const open = async () => ({ backends: [looksLate, looksLate] as const, close: () => locks.close() })
    const run = async (rig: LockRig) => {
      const sequence = new LockModelRun(rig)
      for (const command of [taken, offering, way, taken]) await sequence.step(command)
    }
    const [bound] = bindLockCases({ capabilities: locks.capabilities, open }, [{ name: way.do, run }])
    await bound?.run()
  }
})

function onRealTime<S extends { readonly capabilities: object; close(): Promise<void> }>(
  make: () => S,
  stall: Stall,
) {
  return {
    capabilities: make().capabilities as S['capabilities'],
    unitMs,
    model: false as const,
    async open() {
      const sound = make()
      const late = lateAt(sound, stall)
      return { stores: [late, late] as const, close: () => sound.close() }
    },
  }
}

/** The same, with one call that reaches it late. `watch` is no call: it has begun when it returns. */
function lateAt<S extends object>(target: S, stall: Stall): S {
  return new Proxy(target, {
    get(sound, name) {
      const member: unknown = Reflect.get(sound, name, sound)
      if (typeof member !== 'function') return member
      if (name === 'close' || name === 'watch') return member.bind(sound)
      return async (...args: unknown[]) => {
        stall.calls++
        if (stall.calls === stall.at) {
          stall.method = String(name)
          await new Promise((resolve) => setTimeout(resolve, STALL_MS))
        }
        return member.apply(sound, args)
      }
    },
  })
}
