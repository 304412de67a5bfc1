import { mkdir } from 'node:fs/promises'
import { availableParallelism, loadavg } from 'node:os'
import { join } from 'node:path'
import { createPrng } from '../simulation/prng.ts'
import type { Backend } from './backend.ts'
import { accountOf } from './business.ts'
import type { FaultKind } from './fault-kinds.ts'
import { makePlan, type TrialPlan } from './plan.ts'
import { disturbStore, LOSSES } from './plan-faults.ts'
import type { Sink } from './sink.ts'
import { openCase, type TrialCase } from './trial-case.ts'
import type { WorkerPool } from './worker-pool.ts'

/** What the trials of a campaign share. */
export interface Stage {
  readonly backend: Backend
  readonly pool: WorkerPool
  readonly sink: Sink
  /** The built library of the workers. */
  readonly library: string
  /** Where histories are written. */
  readonly folder: string
  readonly run: string
  readonly faults: readonly FaultKind[]
  /** How much slower than a quiet machine this one is taken to be. Default: as its load tells. */
  readonly pace?: number
}

/** One trial that has ended: its plan, and the files of its history. */
export interface EndedTrial {
  readonly plan: TrialPlan
  readonly folder: string
  readonly files: readonly string[]
}

/**
 * Runs trials side by side on one store: their processes, keys and connections are their own, the faults of the store
 * befall all of them.
 *
 * ```
 *  open ── go ──── faults ────▶ heal ── every key once more ──▶ settled ── records, rows, audit ──▶ end
 *          └── activeMs ───────┘      └── three leases at most ─┘
 * ```
 */
export async function runRound(stage: Stage, seeds: readonly number[]): Promise<readonly EndedTrial[]> {
  const { backend, run, faults } = stage
  const pace = stage.pace ?? paceOf(loadavg()[0] ?? 0, availableParallelism())
  const plans = seeds.map((seed) => makePlan(seed, { modes: backend.modes, faults, run, pace }))
  await backend.prepare(plans.flatMap(({ seed }) => [accountOf(run, seed, 0), accountOf(run, seed, 1)]))
  const cases: TrialCase[] = []
  try {
    for (const plan of plans) {
      const folder = join(stage.folder, String(plan.seed))
      await mkdir(folder, { recursive: true })
      cases.push(await openCase(stage, plan, folder))
    }
    const first = plans[0]
    if (first === undefined) return []
    const activeMs = Math.max(...plans.map((plan) => plan.activeMs))
    for (const one of cases) one.go()
    await disturbAll(stage, cases, first, activeMs)
    await backend.heal()
    await Promise.all(cases.map((one) => one.heal()))
    await Promise.all(cases.map((one) => one.dismiss()))
    await Promise.all(cases.map((one) => one.lookAtStore()))
  } finally {
    await backend.heal()
    await Promise.all(cases.map((one) => one.end()))
  }
  return cases.map(({ plan, folder, files }) => ({ plan, folder, files }))
}

/** Lets the faults of the shared store happen, and waits until the time of faults is over. */
async function disturbAll(
  { backend, faults }: Stage,
  cases: readonly TrialCase[],
  { seed, leaseMs }: TrialPlan,
  activeMs: number,
): Promise<void> {
  const over = new Promise((resolve) => setTimeout(resolve, activeMs))
  // The store's faults are drawn apart, so that leaving them out changes nothing else.
  const planned = disturbStore(createPrng(seed ^ 0x5bd1e995), { activeMs, leaseMs }, faults)
  for (const fault of planned) {
    await new Promise((resolve) => setTimeout(resolve, fault.at))
    const noteAll = () => {
      for (const one of cases) one.noteFault(fault.kind, `${fault.forMs} ms`)
    }
    // A loss is complete when the strike has returned: what was acknowledged meanwhile is what is lost.
    const loses = LOSSES.includes(fault.kind)
    if (!loses) noteAll()
    const isTheirPower = fault.kind === 'power-cut' && backend.isOnWorkersMachine === true
    const backOn = isTheirPower ? await Promise.all(cases.map((one) => one.powerOff())) : []
    await backend.strike(fault)
    for (const on of backOn) on()
    if (loses) noteAll()
  }
  await over
}

/** The slowest pace: a machine that is busier than this is too busy to tell anything. */
const SLOWEST_PACE = 6

/** How much longer everything takes than on a quiet machine, where two processes may want each processor. */
export function paceOf(load: number, processors: number): number {
  const pace = Math.min(SLOWEST_PACE, Math.max(1, load / (processors * 2)))
  return Math.round(pace * 10) / 10
}
