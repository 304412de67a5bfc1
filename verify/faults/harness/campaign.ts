import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { createPrng, type Prng } from '../../simulation/prng.ts'
import { readEvents } from './event-log.ts'
import { befalls, type FaultKind, LOSSES } from './fault-kinds.ts'
import type { Violation } from './statistics.ts'
import { drawFaults, type FaultTime, type TrialFault } from './trial-faults.ts'
import type { TrialPlan, TrialStage, TrialTypes } from './trial-kind.ts'
import { openTrial, type Trial, type TrialRoom } from './trial-process.ts'

/** Which trials to run. */
export interface Campaign<T extends TrialTypes> extends TrialRoom<T> {
  readonly from: number
  readonly trials: number
  /** How many trials run side by side; they share the faults of the server. */
  readonly width: number
  /** Ends after so many trials that broke a promise. */
  readonly maxFailures: number
  /** Begins no further round after so many seconds; while too little was met, not before twelve times as many and ten rounds. Default: no limit. */
  readonly seconds?: number
  readonly faults: readonly FaultKind[]
  readonly folder: string
  readonly run: string
  /** Keeps the histories of trials that broke nothing too. */
  readonly keep?: boolean
  /** Counts only what breaks a promise of the library, not what hinders a trial: a mutant must not seem killed by that. */
  readonly promisesOnly?: boolean
  /** How much longer leases are than 300 to 500 ms, asked before each round. Default 1: what is slow breaks no promise, it only loses leases. */
  readonly pace?: () => number
  /** Is told of each round. */
  readonly onRound?: (statistics: T['statistics']) => void
}

/** A trial that broke a promise. */
export interface FailedTrial {
  readonly seed: number
  /** The first seed of its round, whose trials share the faults of the store. */
  readonly roundFrom: number
  readonly folder: string
  readonly violations: readonly Violation[]
}

/** What a campaign has shown. */
export interface CampaignResult<Statistics> {
  readonly statistics: Statistics
  readonly failures: readonly FailedTrial[]
}

/** How many times the asked time a campaign may take while its trials have met too little. */
const PATIENCE = 12

/** How many rounds it has at least then: on a busy machine one may take as long as ten on a quiet one, and meets no more. */
const PATIENT_ROUNDS = 10

/** After so many rounds the store begins empty again. */
const ROUNDS_PER_STORE = 20

/** Runs trials by seed, and judges each. */
export async function runCampaign<T extends TrialTypes>(
  campaign: Campaign<T>,
): Promise<CampaignResult<T['statistics']>> {
  const { kind, stage, from, trials, width, maxFailures, seconds = Number.POSITIVE_INFINITY } = campaign
  const statistics = kind.tally.begin()
  const failures: FailedTrial[] = []
  const startedAt = performance.now()
  const isOver = (ran: number) => {
    if (ran >= trials || failures.length >= maxFailures) return true
    const ranSeconds = (performance.now() - startedAt) / 1000
    const meetsLittle = kind.tally.below(statistics, []).length > 0
    return isEnough({ seconds, ranSeconds, rounds: ran / width, meetsLittle })
  }
  for (let ran = 0, rounds = 1; !isOver(ran); ran += width, rounds++) {
    const roundFrom = from + ran
    const seeds = Array.from({ length: Math.min(width, trials - ran) }, (_, index) => roundFrom + index)
    for (const trial of await runRound(campaign, seeds)) {
      const violations = judged(campaign, trial, statistics)
      const { folder, plan } = trial
      if (violations.length > 0) failures.push({ seed: plan.seed, roundFrom, folder, violations })
      else if (campaign.keep !== true) await rm(folder, { recursive: true, force: true })
    }
    campaign.onRound?.(statistics)
    if (rounds % ROUNDS_PER_STORE === 0) await stage.renew?.()
  }
  return { statistics, failures }
}

/** Whether a campaign has had its time. Trials that met too little prove nothing: they are given more. */
export function isEnough(had: {
  readonly seconds: number
  readonly ranSeconds: number
  readonly rounds: number
  readonly meetsLittle: boolean
}): boolean {
  const { seconds, ranSeconds, rounds, meetsLittle } = had
  if (rounds < 1) return false
  return meetsLittle ? rounds >= PATIENT_ROUNDS && ranSeconds > seconds * PATIENCE : ranSeconds > seconds
}

/** Counts what a trial has seen; answers what it has broken. */
function judged<T extends TrialTypes>(
  { kind, stage, promisesOnly }: Campaign<T>,
  { plan, files, troubles }: Trial<T['plan']>,
  statistics: T['statistics'],
): readonly Violation[] {
  const history = readEvents<T['event']>(files)
  const verdict = kind.judge({ stage, plan, history, troubles })
  kind.tally.add(statistics, verdict, { plan, history })
  const { violations } = verdict
  return promisesOnly
    ? violations.filter(({ rule }) => !kind.hindrances.some((name) => rule.split(':')[0] === name))
    : violations
}

/**
 * Runs trials side by side on one store: their processes, keys and connections are their own, the faults of the store
 * befall all of them.
 *
 * ```
 *  open ── go ──── faults ────▶ heal ── everything once more ──▶ settled ── what was left behind ──▶ end
 *          └── activeMs ───────┘
 * ```
 */
async function runRound<T extends TrialTypes>(
  campaign: Campaign<T>,
  seeds: readonly number[],
): Promise<readonly Trial<T['plan']>[]> {
  const { kind, stage, run, faults } = campaign
  const pace = campaign.pace?.() ?? 1
  const begun: { readonly plan: T['plan']; readonly given: readonly string[] }[] = []
  for (const seed of seeds) {
    const plan = kind.makePlan(seed, stage, { run, faults, pace })
    begun.push({ plan, given: (await kind.prepare?.(stage, plan)) ?? [] })
  }
  const trials: Trial<T['plan']>[] = []
  try {
    for (const one of begun) {
      const folder = join(campaign.folder, String(one.plan.seed))
      await mkdir(folder, { recursive: true })
      trials.push(await openTrial(campaign, { ...one, folder }))
    }
    for (const one of trials) one.go()
    await disturbServer(campaign, trials)
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
async function disturbServer<T extends TrialTypes>(
  { kind, stage, faults }: Campaign<T>,
  trials: readonly Trial<TrialPlan>[],
): Promise<void> {
  const startedAt = performance.now()
  const [first] = trials
  if (first === undefined) return
  const activeMs = Math.max(...trials.map(({ plan }) => plan.activeMs))
  const { seed, leaseMs, workers } = first.plan
  const over = new Promise((resolve) => setTimeout(resolve, activeMs))
  // The server's faults are drawn apart, so that leaving them out changes nothing else.
  const prng = createPrng(seed ^ 0x5bd1e995)
  const kinds = faults.filter((one) => befalls(one) === 'server')
  const planned = (kind.drawServerFaults ?? drawOfMany)(prng, kinds, { activeMs, leaseMs, workers })
  for (const fault of planned) {
    const wait = fault.at - (performance.now() - startedAt)
    await new Promise((resolve) => setTimeout(resolve, wait))
    await strike(stage, trials, fault)
  }
  await over
}

function drawOfMany(prng: Prng, kinds: readonly FaultKind[], time: FaultTime): readonly TrialFault[] {
  return prng.chance(0.75) ? drawFaults(prng, kinds, time, 2) : []
}

/** Lets one fault of the server begin, which befalls all trials. */
async function strike(
  stage: TrialStage,
  trials: readonly Trial<TrialPlan>[],
  fault: TrialFault,
): Promise<void> {
  const noteAll = () => {
    for (const one of trials) one.noteFault(fault.kind, `${Math.round(fault.forMs)} ms`)
  }
  // A loss is complete when the strike has returned: what was acknowledged meanwhile is what is lost.
  const loses = LOSSES.includes(fault.kind)
  if (!loses) noteAll()
  const isTheirPower = fault.kind === 'power-cut' && stage.isOnWorkersMachine === true
  const backOn = isTheirPower ? await Promise.all(trials.map((one) => one.powerOff())) : []
  await stage.strike(fault)
  for (const on of backOn) on()
  if (loses) noteAll()
}
