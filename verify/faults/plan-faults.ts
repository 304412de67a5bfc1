import type { FaultPoint } from 'onceward/testing'
import type { Prng } from '../simulation/prng.ts'
import { type FaultKind, LOSSES } from './harness/fault-kinds.ts'
import type { TrialFault } from './harness/trial-faults.ts'

/** A point at which a worker kills itself: of the store port, or of the work. */
export type CrashPoint =
  | FaultPoint
  | 'work:begun'
  | 'work:before-effect'
  | 'work:after-effect'
  | 'step:after-effect'
  | 'transaction:begun'
  | 'transaction:written'
  | 'transaction:committed'

/** A worker ends itself, or stands still, when it reaches a point for the `nth` time. */
export interface PlannedCrash {
  readonly worker: number
  readonly point: CrashPoint
  readonly nth: number
  /** It stands still for so many ms, as in a long collection of garbage. Absent: it ends itself. */
  readonly pauseMs?: number
}

/** A call of the store fails inside the worker. */
export interface PlannedCallFault {
  readonly worker: number
  readonly kind: 'call-dropped' | 'reply-lost' | 'call-delayed' | 'call-hangs'
  readonly point: FaultPoint
  readonly nth: number
  readonly ms: number
}

/** All that goes wrong in one trial. */
export interface Disturbances {
  readonly crashes: readonly PlannedCrash[]
  readonly callFaults: readonly PlannedCallFault[]
  readonly faults: readonly TrialFault[]
}

const STORE_POINTS = [
  'claim',
  'renew',
  'complete',
  'checkpoint',
  'release',
  'hold',
  'takeTurn',
  'resolve',
] as const

const OFTEN = ['claim', 'complete', 'renew'] as const

const WORK_POINTS: readonly CrashPoint[] = [
  'work:begun',
  'work:before-effect',
  'work:after-effect',
  'step:after-effect',
  'transaction:begun',
  'transaction:written',
  'transaction:committed',
]

/** Where standing still past the lease is most dangerous. */
const PAUSE_POINTS = [
  'work:before-effect',
  'work:after-effect',
  'complete:before',
  'renew:before',
  'claim:after',
] as const

/** Points that are reached rarely: the first time is taken. */
const RARE = /^(?:renew|checkpoint|release|hold|takeTurn|resolve|step|transaction)/

const CALL_FAULTS = ['call-dropped', 'reply-lost', 'call-delayed', 'call-hangs'] as const

/** Draws what goes wrong: always one or two things that end or stop a process, and some between it and the store. */
export function disturb(
  prng: Prng,
  shape: { readonly workers: number; readonly activeMs: number; readonly leaseMs: number },
  allowed: readonly FaultKind[],
): Disturbances {
  const { workers, activeMs, leaseMs } = shape
  const has = (kind: FaultKind) => allowed.includes(kind)
  const at = (until = 0.9) => Math.round(prng.between(0.05, until) * activeMs)
  const crashes: PlannedCrash[] = []
  const callFaults: PlannedCallFault[] = []
  const faults: TrialFault[] = []

  if (has('crash-point') && prng.chance(0.85)) {
    const count = 1 + prng.int(3)
    for (let index = 0; index < count; index++) {
      const point = drawPoint(prng)
      crashes.push({ worker: prng.int(workers), point, nth: RARE.test(point) ? 1 : 1 + prng.int(3) })
    }
  }
  if (has('pause-point') && prng.chance(0.5)) {
    const point = prng.pick(PAUSE_POINTS)
    const pauseMs = Math.round(prng.between(0.8, 2.2) * leaseMs)
    const nth = RARE.test(point) ? 1 : 1 + prng.int(4)
    crashes.push({ worker: prng.int(workers), point, nth, pauseMs })
  }
  if (has('kill') && prng.chance(0.55)) {
    const forMs = Math.round(prng.between(0, 0.5) * leaseMs)
    faults.push({ kind: 'kill', at: at(), forMs, worker: prng.int(workers), amount: 0 })
  }
  if (has('stop') && prng.chance(0.6)) {
    const forMs = Math.round(prng.between(0.5, prng.chance(0.2) ? 5 : 2) * leaseMs)
    faults.push({ kind: 'stop', at: at(), forMs, worker: prng.int(workers), amount: 0 })
  }
  for (const kind of CALL_FAULTS) {
    if (!has(kind) || !prng.chance(0.6)) continue
    const method = prng.chance(0.6) ? prng.pick(OFTEN) : prng.pick(STORE_POINTS)
    const where = kind === 'call-dropped' ? 'before' : kind === 'reply-lost' ? 'after' : side(prng)
    const nth = method === 'claim' || method === 'complete' ? 1 + prng.int(5) : 1
    const ms = Math.round(prng.between(0.1, 1.5) * leaseMs)
    callFaults.push({ worker: prng.int(workers), kind, point: `${method}:${where}`, nth, ms })
  }
  const network = allowed.filter((kind) => kind.startsWith('net-'))
  const [first, ...others] = network
  if (first !== undefined && prng.chance(0.75)) {
    const kind = prng.pick([first, ...others])
    const forMs = Math.round(prng.between(0.2, 1.6) * leaseMs)
    faults.push({ kind, at: at(0.7), forMs, worker: -1, amount: 1 + prng.int(6) })
  }
  if (has('disk-full') && prng.chance(0.15)) {
    const forMs = Math.round(prng.between(0.2, 1) * leaseMs)
    faults.push({ kind: 'disk-full', at: at(0.7), forMs, worker: prng.int(workers), amount: 0 })
  }
  return { crashes, callFaults, faults: faults.sort((a, b) => a.at - b.at) }
}

/** Draws what befalls the store that a round of trials shares; what loses acknowledged writes happens in every round. */
export function disturbStore(
  prng: Prng,
  shared: readonly FaultKind[],
  shape: { readonly activeMs: number; readonly leaseMs: number },
): readonly TrialFault[] {
  const [loss] = shared.filter((kind) => LOSSES.includes(kind))
  if (loss !== undefined) {
    const at = Math.round(prng.between(0.3, 0.6) * shape.activeMs)
    return [
      { kind: loss, at, forMs: Math.round(prng.between(0.5, 1) * shape.leaseMs), worker: -1, amount: 0 },
    ]
  }
  const [first, ...others] = shared
  if (first === undefined || !prng.chance(0.7)) return []
  const kind = prng.pick([first, ...others])
  const lasts = kind === 'store-busy' ? prng.between(0.3, 2) : prng.between(0.1, 1.5)
  const at = Math.round(prng.between(0.1, 0.7) * shape.activeMs)
  return [{ kind, at, forMs: Math.round(lasts * shape.leaseMs), worker: -1, amount: 0 }]
}

function drawPoint(prng: Prng): CrashPoint {
  const [first = 'work:begun', ...others] = WORK_POINTS
  if (prng.chance(0.4)) return prng.pick([first, ...others])
  return `${prng.pick(STORE_POINTS)}:${side(prng)}`
}

function side(prng: Prng): 'before' | 'after' {
  return prng.chance(0.5) ? 'before' : 'after'
}
