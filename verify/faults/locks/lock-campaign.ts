import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { createPrng } from '../../simulation/prng.ts'
import { checkLocks, type LockViolation } from './check-locks.ts'
import { readLockHistory } from './lock-events.ts'
import { befalls, drawFaults, type LockFaultKind } from './lock-faults.ts'
import { type LockPlan, makeLockPlan } from './lock-plan.ts'
import { countTrial, type LockStatistics, noLockStatistics } from './lock-statistics.ts'
import { type LockTrial, type LockTrialRoom, openLockTrial } from './lock-trial.ts'

/** Which trials to run. */
export interface LockCampaign extends LockTrialRoom {
  readonly from: number
  readonly trials: number
  /** How many trials run side by side; they share the faults of the server. */
  readonly width: number
  /** Ends after so many trials that broke a promise. */
  readonly maxFailures: number
  /** Begins no further round after so many seconds, or twelve times as many while most trials met nothing. Default: no limit. */
  readonly seconds?: number
  readonly faults: readonly LockFaultKind[]
  readonly folder: string
  readonly run: string
  readonly keep?: boolean
  /** Counts only what breaks a promise of the library, not what hinders a trial: a mutant must not seem killed by that. */
  readonly promisesOnly?: boolean
  /** How much longer leases are than 300 to 500 ms. Default 1: what is slow breaks no promise, it only loses leases. */
  readonly pace?: number
  readonly onRound?: (statistics: LockStatistics) => void
}

/** A trial that broke a promise. */
export interface FailedLockTrial {
  readonly seed: number
  readonly folder: string
  readonly violations: readonly LockViolation[]
}

/** What a campaign has shown. */
export interface LockCampaignResult {
  readonly statistics: LockStatistics
  readonly failures: readonly FailedLockTrial[]
}

/** How many times the asked time a campaign may take while most of its trials have met nothing. */
const PATIENCE = 12

/** Runs trials, and judges each. */
export async function runLockCampaign(campaign: LockCampaign): Promise<LockCampaignResult> {
  const { from, trials, width, maxFailures, seconds = Number.POSITIVE_INFINITY } = campaign
  const statistics = noLockStatistics()
  const failures: FailedLockTrial[] = []
  const startedAt = performance.now()
  const isOver = (ran: number) => {
    if (ran >= trials || failures.length >= maxFailures) return true
    // Too few trials that met something prove nothing: they are given more time.
    const meetsLittle = statistics.counting * 2 < statistics.trials
    const limitMs = seconds * 1000 * (meetsLittle ? PATIENCE : 1)
    return ran > 0 && performance.now() - startedAt > limitMs
  }
  for (let ran = 0; !isOver(ran); ran += width) {
    const seeds = Array.from({ length: Math.min(width, trials - ran) }, (_, index) => from + ran + index)
    for (const { plan, folder, files, troubles } of await runRound(campaign, seeds)) {
      const history = readLockHistory(files)
      const verdict = checkLocks(history, troubles)
      countTrial(statistics, history, verdict)
      const violations = verdict.violations.filter(
        ({ rule }) => rule !== 'trial' || campaign.promisesOnly !== true,
      )
      if (violations.length > 0) failures.push({ seed: plan.seed, folder, violations })
      else if (campaign.keep !== true) await rm(folder, { recursive: true, force: true })
    }
    campaign.onRound?.(statistics)
  }
  return { statistics, failures }
}

async function runRound(campaign: LockCampaign, seeds: readonly number[]): Promise<readonly LockTrial[]> {
  const { stage, run, faults } = campaign
  const plans = seeds.map((seed) =>
    makeLockPlan(seed, { run, faults, pace: campaign.pace ?? 1, minTtlMs: stage.minTtlMs }),
  )
  const trials: LockTrial[] = []
  try {
    for (const plan of plans) {
      const folder = join(campaign.folder, String(plan.seed))
      await mkdir(folder, { recursive: true })
      trials.push(await openLockTrial(campaign, plan, folder))
    }
    for (const one of trials) one.go()
    const [first] = plans
    if (first) await disturbServer(campaign, trials, first, Math.max(...plans.map((plan) => plan.activeMs)))
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
  { stage, faults }: LockCampaign,
  trials: readonly LockTrial[],
  { seed, ttlMs, workers }: LockPlan,
  activeMs: number,
): Promise<void> {
  const startedAt = performance.now()
  const over = new Promise((resolve) => setTimeout(resolve, activeMs))
  const prng = createPrng(seed ^ 0x5bd1e995)
  const kinds = faults.filter((kind) => befalls(kind) === 'server')
  const planned = prng.chance(0.75) ? drawFaults(prng, kinds, { activeMs, ttlMs, workers }, 2) : []
  for (const fault of planned) {
    const wait = fault.at - (performance.now() - startedAt)
    await new Promise((resolve) => setTimeout(resolve, wait))
    for (const one of trials) one.noteFault(fault.kind, `${Math.round(fault.forMs)} ms`)
    await stage.strike(fault)
  }
  await over
}
