import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createOnce } from '../../core/create-once.ts'
import { operationId } from '../../core/identity.ts'
import type { ClaimReply, OperationStore } from '../../core/store.ts'
import { type MemoryStore, memoryStore } from '../memory/index.ts'
import { type ShardedStore, shardedStore } from './index.ts'
import type { ShardStore } from './shard.ts'

/** Where a leg of a call may wait, as long as the scheduler likes. */
type Leg = (name: string) => Promise<void>

/** A shard as one process sees it: each call has a way there and a way back. */
function overNetwork(store: MemoryStore, leg: Leg, loses: (name: string) => boolean): ShardStore {
  return new Proxy(store, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name, target)
      if (typeof member !== 'function' || typeof name !== 'string') return member
      const method = member as (...args: unknown[]) => Promise<unknown>
      return async (...args: unknown[]) => {
        await leg(`${name} there`)
        const reply = await method.apply(target, args)
        await leg(`${name} back`)
        if (loses(name)) throw new Error('the reply was lost')
        return reply
      }
    },
  })
}

/** Whether a process has just been granted a claim and is still to look at the other shards. */
interface Looking {
  again: boolean
}

/** The same shard for a process that does not look again after it was granted a claim: it sees nothing there. */
function withoutSecondLook(store: ShardStore, looking: Looking): ShardStore {
  return new Proxy(store, {
    get(target, name) {
      if (name === 'claim')
        return async (request: Parameters<OperationStore['claim']>[0]) => {
          const reply = await target.claim(request)
          looking.again = reply.state === 'claimed'
          return reply
        }
      if (name === 'get' && looking.again) return async () => undefined
      return Reflect.get(target, name, target) as unknown
    },
  })
}

/** What one process does with a claim that it was granted. */
const ENDINGS = ['complete', 'release', 'step', 'hold', 'crash'] as const
type Ending = (typeof ENDINGS)[number]

interface World {
  /** How many processes were working at one moment, at most. */
  mostAtOnce: number
  /** How often an effect that was not given back was made. */
  effects: number
  /** The fences in the order in which they were granted. */
  readonly fences: number[]
  /** How often the work was begun without the step that was finished before. */
  forgotten: number
}

const STEP = { name: 'charge', state: 'done', onCrash: 'hold', value: new Uint8Array([1]) } as const
const ID = operationId('race', 'order 42')
const LAYOUTS = [
  { layout: ['a'], otherLayouts: [['b']] },
  { layout: ['b'], otherLayouts: [['a']] },
  { layout: ['b'], otherLayouts: [['a']] },
]

/** Lets processes that prefer different homes race for one operation. */
async function race(
  s: fc.Scheduler,
  endings: readonly Ending[],
  losses: readonly string[],
  broken = false,
): Promise<World & { readonly store: ShardedStore }> {
  const now = Date.UTC(2026, 0, 1)
  // One of the shards has a clock that is behind: its fences begin below those of the other.
  const clock = (behindMs: number) => ({ now: () => now - behindMs, monotonic: () => now })
  const shards = { a: memoryStore({ clock: clock(0) }), b: memoryStore({ clock: clock(5) }) }
  const world: World = { mostAtOnce: 0, effects: 0, fences: [], forgotten: 0 }
  let working = 0
  let owner = 0
  let stepped = false
  const lost = [...losses]
  const leg: Leg = (name) => s.schedule(Promise.resolve(), name)
  const loses = (name: string) => {
    const at = lost.indexOf(name)
    if (at >= 0) lost.splice(at, 1)
    return at >= 0
  }
  const impatient = losses.length % 3
  const process = async (view: (typeof LAYOUTS)[number], ending: Ending) => {
    const looking: Looking = { again: false }
    const far = (store: MemoryStore) =>
      broken ? withoutSecondLook(overNetwork(store, leg, loses), looking) : overNetwork(store, leg, loses)
    const store = shardedStore(
      { a: far(shards.a), b: far(shards.b) },
      {
        ...view,
        timers: {
          after(_ms, callback) {
            let cancelled = false
            // A pause, or the patience for a call, ends when the scheduler says so.
            void leg('pause').then(() => cancelled || callback())
            return () => {
              cancelled = true
            }
          },
        },
      },
    )
    for (let asked = 0; asked < 6; asked++) {
      const granted = await claimOnce(store, `p${owner++}`, asked % 2 === impatient)
      looking.again = false
      if (granted === 'ended') return
      if (granted === undefined) continue
      const { claim, steps } = granted
      if (stepped && steps.length === 0) world.forgotten++
      world.fences.push(claim.fence)
      world.mostAtOnce = Math.max(world.mostAtOnce, ++working)
      const givesBack = ending === 'release' || ending === 'step'
      if (!givesBack) world.effects++
      await leg('work')
      working--
      if (ending === 'complete')
        await store.complete(claim, { kind: 'value', value: new Uint8Array([1]) }, 60_000).catch(() => false)
      if (ending === 'hold') await store.hold(claim, 'no reply').catch(() => false)
      if (ending === 'step' && (await store.checkpoint(claim, STEP).catch(() => false))) stepped = true
      if (givesBack) await store.release(claim).catch(() => false)
      if (!givesBack) return
      ending = 'complete'
    }
  }
  const all = Promise.all(
    LAYOUTS.map((view, at) => process(view, endings[at % endings.length] ?? 'complete')),
  )
  await s.waitFor(all)
  return { ...world, store: shardedStore(shards, LAYOUTS[0]) }
}

/** Asks until it is answered; a reply that is lost, or late, is asked for again under the same nonce, as the engine does. */
async function claimOnce(
  store: ShardedStore,
  owner: string,
  impatient: boolean,
): Promise<Extract<ClaimReply, { state: 'claimed' }> | 'ended' | undefined> {
  const request = { id: ID, owner, leaseMs: 1000, retentionMs: 60_000, onCrash: 'hold' } as const
  for (let tries = 0; tries < 4; tries++) {
    let reply: ClaimReply
    try {
      if (impatient) store.claim(request).catch(() => {})
      reply = await store.claim(request)
    } catch {
      continue
    }
    if (reply.state === 'claimed') return reply
    return reply.state === 'running' ? undefined : 'ended'
  }
  return undefined
}

const runs = { numRuns: 800 }
const endings = fc.array(fc.constantFrom(...ENDINGS), { minLength: 3, maxLength: 3 })
const losses = fc.array(fc.constantFrom('claim', 'get', 'release', 'complete'), { maxLength: 4 })

describe('processes that prefer different shards', () => {
  it('are never both granted one operation, however their calls interleave and whichever replies are lost', async () => {
    let contested = 0
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), endings, losses, async (s, ends, lost) => {
        const { mostAtOnce, effects, fences, forgotten } = await race(s, ends, lost)
        expect(mostAtOnce).toBeLessThanOrEqual(1)
        expect(effects).toBeLessThanOrEqual(1)
        expect(forgotten).toBe(0)
        expect(fences).toEqual([...new Set(fences)].sort((one, other) => one - other))
        if (fences.length > 1) contested++
      }),
      runs,
    )
    expect(contested).toBeGreaterThan(20)
  }, 120_000)

  it('come to an end: where no reply is lost, one of them does the work', async () => {
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), async (s) => {
        const { effects, store } = await race(s, ['complete'], [])
        expect(effects).toBe(1)
        expect(await store.get(ID)).toMatchObject({ state: 'done' })
      }),
      runs,
    )
  }, 120_000)

  it('are both granted it where they do not look again: the race above would notice', async () => {
    const found = await fc.check(
      fc.asyncProperty(fc.scheduler(), async (s) => {
        const { mostAtOnce } = await race(s, ['complete'], [], true)
        expect(mostAtOnce).toBeLessThanOrEqual(1)
      }),
      runs,
    )
    expect(found.failed).toBe(true)
  }, 120_000)

  it('run the work once and all get its value, twenty calls in parallel on each side', async () => {
    const shards = { a: memoryStore(), b: memoryStore() }
    const sides = LAYOUTS.slice(0, 2).map((view) =>
      createOnce({ store: shardedStore(shards, view), scope: 'race', cache: false }),
    )
    for (let round = 0; round < 20; round++) {
      let ran = 0
      const call = (once: (typeof sides)[number]) =>
        once.run({ key: `order ${round}` }, async () => {
          ran++
          await new Promise((resolve) => setImmediate(resolve))
          return `receipt ${round}`
        })
      const values = await Promise.all(Array.from({ length: 20 }, () => sides.map(call)).flat())
      expect(ran).toBe(1)
      expect(new Set(values)).toEqual(new Set([`receipt ${round}`]))
    }
  })
})
