import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DEFAULT_LIBRARY } from '../library.ts'
import { ROOT } from '../test-servers.ts'
import type { CampaignResult } from './campaign.ts'
import { belowFloors, type Floors, tellStatistics } from './statistics.ts'
import type { TrialFaultKind } from './trial-faults.ts'

interface Text {
  readonly type: 'string'
  readonly default: string
}

interface Flag {
  readonly type: 'boolean'
  readonly default: boolean
}

/** The options that every campaign has. */
export interface CampaignOptions {
  readonly seed: Text
  readonly faults: Text
  readonly failures: Text
  readonly pace: Text
  readonly seconds: { readonly type: 'string' }
  readonly library: Text
  readonly keep: Flag
  readonly 'require-all': Flag
  readonly help: Flag
}

/** The options that every campaign has, as text; what they mean is said in the usage of each. */
export const CAMPAIGN_OPTIONS: CampaignOptions = {
  seed: { type: 'string', default: '1' },
  faults: { type: 'string', default: '' },
  failures: { type: 'string', default: '1' },
  pace: { type: 'string', default: '1' },
  seconds: { type: 'string' },
  library: { type: 'string', default: join(ROOT, DEFAULT_LIBRARY) },
  keep: { type: 'boolean', default: false },
  'require-all': { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
}

/** The usage of `CAMPAIGN_OPTIONS` that is the same everywhere. */
export const CAMPAIGN_USAGE: string = `  --pace N        how much longer leases are than 300 to 500 ms (1)
  --failures N    end after so many trials that broke a promise (1)
  --keep          keep all histories, not only those of broken trials
  --library DIR   the built library of the workers (${DEFAULT_LIBRARY})
  --require-all   fail where a server cannot be had here, instead of skipping it`

/** What the command line may say, as text. */
export interface Given {
  readonly trials: string
  readonly seed: string
  readonly width: string
  readonly failures: string
  readonly pace: string
  readonly seconds?: string | undefined
  readonly store: string
  readonly faults: string
  readonly keep: boolean
}

/** What it has said. */
export interface Asked {
  readonly stores: readonly string[]
  /** Absent: the usual ones. */
  readonly only?: readonly TrialFaultKind[]
  readonly campaign: {
    readonly trials: number
    readonly from: number
    readonly width: number
    readonly maxFailures: number
    readonly pace: number
    readonly keep: boolean
    readonly seconds?: number
  }
}

/** Reads it; answers nothing where a number is none, or a name is unknown. */
export function readAsked(
  given: Given,
  known: { readonly stores: readonly string[]; readonly faults: readonly TrialFaultKind[] },
): Asked | undefined {
  const numbers = [given.trials, given.seed, given.width, given.failures].map(Number)
  const [trials = 0, from = 0, width = 0, maxFailures = 0] = numbers
  const stores = given.store.split(',')
  const only = given.faults === '' ? undefined : (given.faults.split(',') as TrialFaultKind[])
  const wrong =
    numbers.some((number) => !Number.isSafeInteger(number) || number < 1) ||
    [given.pace, given.seconds ?? '1'].some((text) => !(Number(text) > 0)) ||
    stores.some((name) => !known.stores.includes(name)) ||
    only?.some((kind) => !known.faults.includes(kind))
  if (wrong) return undefined
  const seconds = given.seconds === undefined ? {} : { seconds: Number(given.seconds) }
  return {
    stores,
    ...(only ? { only } : {}),
    campaign: { trials, from, width, maxFailures, pace: Number(given.pace), keep: given.keep, ...seconds },
  }
}

/** Runs one campaign in a folder of its own, and tells what it has shown. Answers whether it was good. */
export async function runAndTell(
  { lane, store, keep }: { readonly lane: string; readonly store: string; readonly keep: boolean },
  { floors, faults }: { readonly floors: Floors; readonly faults: readonly TrialFaultKind[] },
  run: (folder: string) => Promise<CampaignResult>,
): Promise<boolean> {
  const folder = await mkdtemp(join(tmpdir(), `onceward-faults-${lane}-${store}-`))
  const startedAt = performance.now()
  const { statistics, failures } = await run(folder)
  const seconds = (performance.now() - startedAt) / 1000
  console.log(`\n== ${lane} on ${store} ==\n${tellStatistics(statistics, seconds)}`)
  for (const { seed, folder: kept, violations } of failures) {
    console.log(`seed ${seed} broke its promises; its history is in ${kept}`)
    for (const { rule, message } of violations.slice(0, 10)) console.log(`  BROKEN ${rule}: ${message}`)
  }
  const poor = failures.length > 0 ? [] : belowFloors(statistics, floors, faults)
  for (const finding of poor) console.log(`${lane} on ${store}: ${finding}`)
  if (failures.length === 0 && !keep) await rm(folder, { recursive: true, force: true })
  return failures.length === 0 && poor.length === 0
}
