import { rm } from 'node:fs/promises'
import { check, type Verdict } from './checker.ts'
import { readEvents } from './harness/event-log.ts'
import type { Violation } from './harness/statistics.ts'
import type { HistoryEvent } from './history.ts'
import { type EndedTrial, runRound, type Stage } from './round.ts'
import { count, noStatistics, type Statistics } from './statistics.ts'

/** Which trials to run on a stage. */
export interface Campaign {
  readonly from: number
  readonly trials: number
  /** How many trials run side by side. */
  readonly width: number
  /** Ends after so many trials that broke a promise. */
  readonly maxFailures: number
  /** Begins no further round after so many seconds, or eight times as many while most trials met nothing. Default: no limit. */
  readonly seconds?: number
  /** Keeps the histories of trials that broke nothing too. */
  readonly keep?: boolean
  /** Counts only what breaks a promise of the library, not what hinders a trial: a mutant must not seem killed by that. */
  readonly promisesOnly?: boolean
  /** Is told of each round. */
  readonly onRound?: (statistics: Statistics) => void
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
export interface CampaignResult {
  readonly statistics: Statistics
  readonly failures: readonly FailedTrial[]
  readonly seconds: number
}

/** How many times the asked time a campaign may take while most of its trials have met nothing. */
const PATIENCE = 8

/** After so many rounds the store begins empty again. */
const ROUNDS_PER_STORE = 20

/** Runs trials and judges each. */
export async function runCampaign(stage: Stage, campaign: Campaign): Promise<CampaignResult> {
  const {
    from,
    trials,
    width,
    maxFailures,
    seconds = Number.POSITIVE_INFINITY,
    keep = false,
    promisesOnly,
    onRound,
  } = campaign
  const statistics = noStatistics()
  const failures: FailedTrial[] = []
  const startedAt = performance.now()
  const isOver = (ran: number) => {
    if (ran >= trials || failures.length >= maxFailures) return true
    const took = tookSeconds(startedAt)
    // Too few trials that met something prove nothing: on a slow machine they are given more time.
    const meetsLittle = statistics.counting * 2 < statistics.trials
    return ran > 0 && took > (meetsLittle ? seconds * PATIENCE : seconds)
  }
  for (let ran = 0, rounds = 1; !isOver(ran); ran += width, rounds++) {
    const roundFrom = from + ran
    const seeds = Array.from({ length: Math.min(width, trials - ran) }, (_, index) => roundFrom + index)
    for (const trial of await runRound(stage, seeds)) {
      const { violations: all } = judge(trial, statistics, stage.backend.lossy === true)
      const violations = promisesOnly ? all.filter(({ rule }) => !rule.startsWith('trial:')) : all
      const { folder, plan } = trial
      if (violations.length > 0) failures.push({ seed: plan.seed, roundFrom, folder, violations })
      else if (!keep) await rm(folder, { recursive: true, force: true })
    }
    onRound?.(statistics)
    if (rounds % ROUNDS_PER_STORE === 0) await stage.backend.renew()
  }
  return { statistics, failures, seconds: tookSeconds(startedAt) }
}

function tookSeconds(startedAt: number): number {
  return (performance.now() - startedAt) / 1000
}

function judge({ plan, files }: EndedTrial, statistics: Statistics, lossy: boolean): Verdict {
  const history = readEvents<HistoryEvent>(files)
  const verdict = check(plan, history, { lossy })
  count(statistics, plan.keys.length, history, verdict)
  return verdict
}
