import type { Lease, Locks } from 'onceward/locks'
import { createPrng, type Prng } from '../../simulation/prng.ts'
import { monotonicMs } from '../harness/event-log.ts'
import type { How, LockHistory } from './lock-events.ts'
import type { LockPlan } from './lock-plan.ts'
import type { AskSink } from './lock-sink.ts'
import type { LockLibrary } from './lock-stores.ts'

/** What the callers of one worker share. */
export interface LockRoom {
  readonly plan: LockPlan
  readonly worker: number
  readonly life: number
  readonly locks: Locks
  readonly library: LockLibrary
  readonly sink: AskSink
  readonly note: LockHistory['note']
  readonly isOver: () => boolean
  /** Calls that have not ended. */
  readonly underWay: Set<string>
}

/** After the heal everything has to be served; a place of a process that died is kept for six seconds. */
export const PROBE_WAIT_MS = 30_000

/** How often long work looks at its lease, in ms. */
const LOOK_MS = 20

/** Asks for locks one after the other until the trial is over. */
export async function keepAsking(room: LockRoom, nth: number): Promise<void> {
  const { plan, worker, life } = room
  const prng = createPrng((plan.seed * 31 + worker) * 31 + life * 7 + nth)
  for (let count = 0; !room.isOver(); count++) {
    const key = prng.pick(plan.keys as readonly [string, ...string[]])
    const how = prng.pick<How>(['acquire', 'acquire', 'acquire', 'using', 'try'])
    await ask(room, prng, { call: `${worker}.${life}.${nth}.${count}`, key, how, probe: false })
    await sleep(prng.between(0, 12))
  }
}

/** Asks for every lock once, and waits for it. */
export async function probe(room: LockRoom): Promise<void> {
  const prng = createPrng(room.plan.seed)
  await Promise.all(
    room.plan.keys.map((key, nth) =>
      ask(room, prng, { call: `${room.worker}.${room.life}.probe.${nth}`, key, how: 'acquire', probe: true }),
    ),
  )
}

interface Call {
  readonly call: string
  readonly key: string
  readonly how: How
  readonly probe: boolean
}

async function ask(room: LockRoom, prng: Prng, asked: Call): Promise<void> {
  const { locks, plan, note, library, underWay } = room
  const { call, key, how, probe: probing } = asked
  const waitMs = probing ? PROBE_WAIT_MS : plan.waitMs
  const work = (lease: Lease) => hold(room, prng, asked, lease)
  note({ k: 'asked', call, key, how, probe: probing })
  underWay.add(call)
  try {
    if (how === 'using') await useIt(room, prng, asked, waitMs)
    else {
      const lease = how === 'try' ? await locks.tryAcquire(key) : await locks.acquire(key, { waitMs })
      if (lease === null) note({ k: 'none', call, probe: probing })
      else {
        await work(lease)
        note({ k: 'leaving', call })
        const left = await lease.release().catch((error: unknown) => {
          const known = library.isOncewardError(error)
          return known ? `${error.code} ${error.effect}` : `unknown: ${String(error)}`
        })
        note({ k: 'left', call, how: left })
      }
    }
  } catch (error) {
    const known = library.isOncewardError(error)
    note({
      k: 'none',
      call,
      probe: probing,
      ...(known ? { code: error.code, effect: error.effect } : {}),
      message: String(error).slice(0, 300),
    })
  } finally {
    underWay.delete(call)
  }
}

/** Works by `using`, and looks whether it tells what the work told. */
async function useIt(room: LockRoom, prng: Prng, asked: Call, waitMs: number): Promise<void> {
  const { locks, note } = room
  const { call, key } = asked
  const result = prng.chance(0.5) ? { of: call } : new Error(`thrown by ${call}`)
  let began = false
  const told = await locks
    .using(key, { waitMs }, async (lease) => {
      began = true
      await hold(room, prng, asked, lease)
      note({ k: 'leaving', call })
      if (result instanceof Error) throw result
      return result
    })
    .catch((error: unknown) => {
      if (!began) throw error
      return error
    })
  if (told !== result) note({ k: 'masked', call, message: String(told).slice(0, 200) })
  note({ k: 'left', call, how: 'using' })
}

/** Reads and writes the fenced resource while the lease lasts; careless work does not look whether it does. */
async function hold(
  room: LockRoom,
  prng: Prng,
  { call, key, probe: probing }: Call,
  lease: Lease,
): Promise<void> {
  const { note, plan, sink } = room
  const fence = lease.fence ?? 0
  const first = monotonicMs()
  note({ k: 'got', call, key, fence, from: first, until: first + lease.remainingMs() })
  lease.signal.addEventListener('abort', () => note({ k: 'lost', call }), { once: true })
  const careless = !probing && prng.chance(plan.careless)
  const steps = 1 + prng.int(3)
  for (let step = 0; step < steps; step++) {
    if (!believes(room, prng, call, lease) && !careless) return
    const read = await sink({ key, call, op: 'read', fence, value: 0 })
    if (!read.accepted) return
    const until = monotonicMs() + pauseOf(prng, plan, probing)
    let held = believes(room, prng, call, lease)
    while (monotonicMs() < until && (held || careless)) {
      await sleep(Math.min(LOOK_MS, until - monotonicMs()))
      held = believes(room, prng, call, lease)
    }
    if (!held && !careless) return
    const written = await sink({ key, call, op: 'write', fence, value: read.value + 1 })
    if (!written.accepted) return
  }
}

/** Looks at the lease in one of the ways there are, and notes what it was told. */
function believes({ note }: LockRoom, prng: Prng, call: string, lease: Lease): boolean {
  const from = monotonicMs()
  const way = prng.int(3)
  const left = lease.remainingMs()
  let held = left > 0
  if (way === 0) held = !lease.signal.aborted
  else if (way === 1) {
    try {
      lease.assertHeld()
      held = true
    } catch {
      held = false
    }
  }
  if (held) note({ k: 'holds', call, from, until: from + left })
  return held
}

function pauseOf(prng: Prng, { leaseMs }: LockPlan, probing: boolean): number {
  if (probing) return 0
  // Now and then the work takes longer than a lease.
  return prng.chance(0.08) ? leaseMs * prng.between(0.5, 1.8) : prng.between(0, 15)
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
