import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { copyLibrary, DEFAULT_LIBRARY } from '../library.ts'
import { ROOT } from '../test-servers.ts'
import type { CampaignResult, FailedTrial } from './campaign.ts'
import type { FaultKind } from './fault-kinds.ts'
import type { Started } from './servers.ts'
import type { Tally } from './statistics.ts'

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
  readonly pace: { readonly type: 'string' }
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
  pace: { type: 'string' },
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
  readonly pace?: string | undefined
  readonly seconds?: string | undefined
  readonly store: string
  readonly faults: string
  readonly keep: boolean
}

/** What it has said. */
export interface Asked {
  readonly stores: readonly string[]
  /** Absent: the usual ones. */
  readonly only?: readonly FaultKind[]
  readonly campaign: {
    readonly trials: number
    readonly from: number
    readonly width: number
    readonly maxFailures: number
    /** Absent: as it is usual. */
    readonly pace?: () => number
    readonly keep: boolean
    readonly seconds?: number
  }
}

/** Reads it; answers nothing where a number is none, or a name is unknown. */
export function readAsked(
  given: Given,
  known: { readonly stores: readonly string[]; readonly faults: readonly FaultKind[] },
): Asked | undefined {
  const numbers = [given.trials, given.seed, given.width, given.failures].map(Number)
  const [trials = 0, from = 0, width = 0, maxFailures = 0] = numbers
  const stores = given.store.split(',')
  const only = given.faults === '' ? undefined : (given.faults.split(',') as FaultKind[])
  const wrong =
    numbers.some((number) => !Number.isSafeInteger(number) || number < 1) ||
    [given.pace ?? '1', given.seconds ?? '1'].some((text) => !(Number(text) > 0)) ||
    stores.some((name) => !known.stores.includes(name)) ||
    only?.some((kind) => !known.faults.includes(kind))
  if (wrong) return undefined
  const seconds = given.seconds === undefined ? {} : { seconds: Number(given.seconds) }
  const pace = given.pace === undefined ? {} : { pace: () => Number(given.pace) }
  return {
    stores,
    ...(only ? { only } : {}),
    campaign: { trials, from, width, maxFailures, keep: given.keep, ...pace, ...seconds },
  }
}

/** What is tried, where, and by what it is counted. */
export interface Telling<Statistics> {
  /** As headings say it. */
  readonly title: string
  /** Names the folder of the histories. */
  readonly name: string
  readonly keep: boolean
  readonly tally: Pick<Tally<Statistics, never, never, never>, 'below' | 'tell'>
  readonly faults: readonly FaultKind[]
  /** How to run the round of a failed trial again. */
  again?(failed: FailedTrial): string
}

/** Runs one campaign in a folder of its own, and tells what it has shown. Answers whether it was good. */
export async function runAndTell<Statistics>(
  { title, name, keep, tally, faults, again }: Telling<Statistics>,
  run: (folder: string) => Promise<CampaignResult<Statistics>>,
): Promise<boolean> {
  const folder = await mkdtemp(join(tmpdir(), `onceward-faults-${name}-`))
  const startedAt = performance.now()
  const { statistics, failures } = await run(folder)
  const seconds = (performance.now() - startedAt) / 1000
  console.log(`\n== ${title} ==\n${tally.tell(statistics, seconds)}`)
  for (const failed of failures) {
    console.log(`seed ${failed.seed} broke its promises; its history is in ${failed.folder}`)
    if (again) console.log(`  again: ${again(failed)}`)
    for (const { rule, message } of failed.violations.slice(0, 10))
      console.log(`  BROKEN ${rule}: ${message}`)
  }
  const poor = failures.length > 0 ? [] : tally.below(statistics, faults)
  for (const finding of poor) console.log(`${title}: ${finding}`)
  if (failures.length === 0 && !keep) await rm(folder, { recursive: true, force: true })
  return failures.length === 0 && poor.length === 0
}

/** Which stores to run on, one after the other. */
export interface StoresAsked {
  readonly stores: readonly string[]
  /** The built library of the workers: a copy of it is used, which later builds leave alone. */
  readonly library: string
  readonly 'require-all': boolean
}

/** Starts each store that was asked for, runs on it and stops it. Answers whether all was good: what cannot be had is skipped, unless all is required. */
export async function runOnStores<Stage extends { stop(): Promise<void> }>(
  { stores, library, 'require-all': requireAll }: StoresAsked,
  start: (store: string, library: string) => Promise<Started<Stage>>,
  run: (stage: Stage, library: string) => Promise<boolean>,
  tellMissing: (store: string, why: string) => void = (store, why) =>
    console.log(`${store}: ${requireAll ? 'FAILED' : 'skipped'}: ${why}`),
): Promise<boolean> {
  const copy = await copyLibrary(resolve(library), ROOT)
  let good = true
  try {
    for (const store of stores) {
      const started = await start(store, copy)
      if ('missing' in started) {
        tellMissing(store, started.missing)
        good = good && !requireAll
        continue
      }
      try {
        good = (await run(started.stage, copy)) && good
      } finally {
        await started.stage.stop()
      }
    }
  } finally {
    await rm(copy, { recursive: true, force: true })
  }
  return good
}

/** The last line of a campaign. Answers the exit code. */
export function tellEnd(good: boolean): 0 | 1 {
  console.log(good ? 'every promise was kept' : 'FAILED')
  return good ? 0 : 1
}
