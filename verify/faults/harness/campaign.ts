import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { createPrng } from '../../simulation/prng.ts'
import { readEvents, type Timed } from './event-log.ts'
import { belowFloors, countTrial, noStatistics, type Statistics, type Violation } from './statistics.ts'
import { befalls, drawFaults, type TrialFaultKind } from './trial-faults.ts'
import type { TrialPlan, TrialSink, TrialStage } from './trial-kind.ts'
import { openTrial, type Trial, type TrialRoom } from './trial-process.ts'

/** Which trials to run. */
export interface Campaign<
  Stage extends TrialStage,
  Plan extends TrialPlan,
  Event extends Timed,
  Sink extends TrialSink<Plan, Event>,
> extends TrialRoom<Stage, Plan, Event, Sink> {
  readonly from: number
  readonly trials: number
  /** How many trials run side by side; they share the faults of the server. */
  readonly width: number
  /** Ends after so many trials that broke a promise. */
  readonly maxFailures: number
  /** Begins no further round after so many seconds, or twelve times as many while too little was met. Default: no limit. */
  readonly seconds?: number
  readonly faults: readonly TrialFaultKind[]
  readonly folder: string
  readonly run: string
  readonly keep?: boolean
  /** Counts only what breaks a promise of the library, not what hinders a trial: a mutant must not seem killed by that. */
  readonly promisesOnly?: boolean
  /** How much longer leases are than 300 to 500 ms. Default 1: what is slow breaks no promise, it only loses leases. */
  readonly pace?: number
}

/** A trial that broke a promise. */
export interface FailedTrial {
  readonly seed: number
  readonly folder: string
  readonly violations: readonly Violation[]
}

/** What a campaign has shown. */
export interface CampaignResult {
  readonly statistics: Statistics
  readonly failures: readonly FailedTrial[]
}

/** How many times the asked time a campaign may take while its trials have met too little. */
const PATIENCE = 12

/** Runs trials by seed, and judges each. */
export async function runCampaign<
  Stage extends TrialStage,
  Plan extends TrialPlan,
  Event extends Timed,
  Sink extends TrialSink<Plan, Event>,
>(campaign: Campaign<Stage, Plan, Event, Sink>): Promise<CampaignResult> {
  const { kind, from, trials, width, maxFailures, seconds = Number.POSITIVE_INFINITY } = campaign
  const statistics = noStatistics()
  const failures: FailedTrial[] = []
  const startedAt = performance.now()
  const isOver = (ran: number) => {
    if (ran >= trials || failures.length >= maxFailures) return true
    // Trials that met too little prove nothing: they are given more time.
    const meetsLittle = belowFloors(statistics, kind.floors, []).length > 0
    const limitMs = seconds * 1000 * (meetsLittle ? PATIENCE : 1)
    return ran > 0 && performance.now() - startedAt > limitMs
  }
  for (let ran = 0; !isOver(ran); ran += width) {
    const seeds = Array.from({ length: Math.min(width, trials - ran) }, (_, index) => from + ran + index)
    for (const { plan, folder, files, troubles } of await runRound(campaign, seeds)) {
      const history = readEvents<Event>(files)
      const verdict = kind.judge(history, troubles)
      countTrial(statistics, kind.floors, history, verdict)
      const violations = verdict.violations.filter(
        ({ rule }) => campaign.promisesOnly !== true || !kind.hindrances.includes(rule),
      )
      if (violations.length > 0) failures.push({ seed: plan.seed, folder, violations })
      else if (campaign.keep !== true) await rm(folder, { recursive: true, force: true })
    }
  }
  return { statistics, failures }
}

async function runRound<
  Stage extends TrialStage,
  Plan extends TrialPlan,
  Event extends Timed,
  Sink extends TrialSink<Plan, Event>,
>(campaign: Campaign<Stage, Plan, Event, Sink>, seeds: readonly number[]): Promise<readonly Trial<Plan>[]> {
  const { kind, stage, run, faults, pace = 1 } = campaign
  const plans = seeds.map((seed) => kind.makePlan(seed, stage, { run, faults, pace }))
  const trials: Trial<Plan>[] = []
  try {
    for (const plan of plans) {
      const folder = join(campaign.folder, String(plan.seed))
      await mkdir(folder, { recursive: true })
      trials.push(await openTrial(campaign, plan, folder))
    }
    for (const one of trials) one.go()
    const [first] = plans
    const activeMs = Math.max(...plans.map((plan) => plan.activeMs))
    if (first) await disturbServer(stage, faults, trials, { ...first, activeMs })
    await stage.heal()
    await Promise.all(trials.map((one) => one.heal()))
    await Promise.all(trials.map((one) => one.finish()))
  } finally {
    await stage.heal()
    await Promise.all(trials.map((one) => one.end()))
  }
  return trials
}

/** Lets the faults of the server happen, and waits until the time of faults is over. */
async function disturbServer(
  stage: TrialStage,
  faults: readonly TrialFaultKind[],
  trials: readonly Trial<TrialPlan>[],
  { seed, leaseMs, workers, activeMs }: TrialPlan,
): Promise<void> {
  const startedAt = performance.now()
  const over = new Promise((resolve) => setTimeout(resolve, activeMs))
  const prng = createPrng(seed ^ 0x5bd1e995)
  const kinds = faults.filter((kind) => befalls(kind) === 'server')
  const planned = prng.chance(0.75) ? drawFaults(prng, kinds, { activeMs, leaseMs, workers }, 2) : []
  for (const fault of planned) {
    const wait = fault.at - (performance.now() - startedAt)
    await new Promise((resolve) => setTimeout(resolve, wait))
    for (const one of trials) one.noteFault(fault.kind, `${Math.round(fault.forMs)} ms`)
    await stage.strike(fault)
  }
  await over
}
