/**
 * Runs fault trials on real processes and real servers; see README.md beside this file.
 *
 * Exit codes: 0 when every promise was kept, 1 when one was not or too little was seen, 2 for wrong use.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { BACKENDS, startBackend } from './backends.ts'
import { type Campaign, runCampaign } from './campaign.ts'
import { FAULT_KINDS, type FaultKind } from './fault-kinds.ts'
import { copyLibrary, DEFAULT_LIBRARY } from './library.ts'
import { startSink } from './sink.ts'
import { belowFloors, tellStatistics } from './statistics.ts'
import { ROOT } from './test-servers.ts'
import { workerPool } from './worker-pool.ts'

const USAGE = `node verify/faults/dist/faults/run.js [options]
  --trials N      how many trials on each store (100)
  --seed S        the seed of the first (1)
  --store A,B     which stores (all): ${Object.keys(BACKENDS).join(', ')}
  --faults A,B    which faults (all a store can meet): ${FAULT_KINDS.join(', ')}
  --width N       how many trials run side by side (4)
  --seconds N     begin no further round on a store after so many seconds (no limit)
  --pace N        how much longer leases and time limits are than 300 to 500 ms (as the load tells)
  --failures N    end after so many trials that broke a promise (1)
  --keep          keep all histories, not only those of broken trials
  --library DIR   the built library of the workers (${DEFAULT_LIBRARY})
  --require-all   fail where a store cannot be had here, instead of skipping it
  --quiet         print the table only`

// Node.js 20 sometimes goes round in circles when it ends by itself while sockets are being closed.
process.exit(await main())

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      trials: { type: 'string', default: '100' },
      seed: { type: 'string', default: '1' },
      store: { type: 'string', default: Object.keys(BACKENDS).join(',') },
      faults: { type: 'string', default: '' },
      width: { type: 'string', default: '4' },
      failures: { type: 'string', default: '1' },
      pace: { type: 'string' },
      seconds: { type: 'string' },
      library: { type: 'string', default: join(ROOT, DEFAULT_LIBRARY) },
      keep: { type: 'boolean', default: false },
      quiet: { type: 'boolean', default: false },
      'require-all': { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  const numbers = [values.trials, values.seed, values.width, values.failures].map(Number)
  const [trials = 0, from = 0, width = 0, maxFailures = 0] = numbers
  const stores = values.store.split(',')
  const pace = values.pace === undefined ? undefined : Number(values.pace)
  const only = values.faults === '' ? undefined : (values.faults.split(',') as FaultKind[])
  const wrong =
    numbers.some((number) => !Number.isSafeInteger(number) || number < 1) ||
    stores.some((name) => !(name in BACKENDS)) ||
    only?.some((kind) => !FAULT_KINDS.includes(kind))
  if (values.help || wrong) {
    console.log(USAGE)
    return values.help ? 0 : 2
  }
  const seconds = values.seconds === undefined ? {} : { seconds: Number(values.seconds) }
  const campaign = { from, trials, width, maxFailures, keep: values.keep, ...seconds }
  let good = true
  const library = await copyLibrary(resolve(values.library), ROOT)
  try {
    for (const name of stores) {
      const kept = await runOn(name, campaign, {
        ...values,
        library,
        only,
        pace,
        requireAll: values['require-all'],
      })
      good = kept && good
    }
  } finally {
    await rm(library, { recursive: true, force: true })
  }
  console.log(good ? 'every promise was kept' : 'FAILED')
  return good ? 0 : 1
}

interface Settings {
  readonly library: string
  readonly quiet: boolean
  readonly only: readonly FaultKind[] | undefined
  readonly requireAll: boolean
  readonly pace: number | undefined
}

async function runOn(name: string, campaign: Campaign, settings: Settings): Promise<boolean> {
  const started = await startBackend(name, settings.library)
  if ('missing' in started) {
    console.log(`${name}: ${settings.requireAll ? 'FAILED' : 'skipped'}: ${started.missing}`)
    return !settings.requireAll
  }
  const { backend } = started
  const faults = settings.only
    ? backend.faults.filter((kind) => settings.only?.includes(kind))
    : backend.faults
  const folder = await mkdtemp(join(tmpdir(), `onceward-faults-${name}-`))
  const pool = workerPool(3, { library: settings.library, drivers: backend.drivers })
  const sink = await startSink()
  // Operations of earlier runs may lie in the same store.
  const run = `f${Date.now().toString(36)}`
  try {
    await mkdir(folder, { recursive: true })
    const stage = {
      backend,
      pool,
      sink,
      library: settings.library,
      folder,
      run,
      faults,
      ...(settings.pace ? { pace: settings.pace } : {}),
    }
    const { statistics, failures, seconds } = await runCampaign(stage, {
      ...campaign,
      onRound: ({ trials, violations }) => {
        if (!settings.quiet && process.stdout.isTTY)
          process.stdout.write(`\r${name}: ${trials} trials, ${violations} violations `)
      },
    })
    console.log(`\n== ${name} ==\n${tellStatistics(statistics, seconds)}`)
    for (const { seed, roundFrom, folder: kept, violations } of failures) {
      console.log(`seed ${seed} broke its promises; its history is in ${kept}`)
      console.log(
        `  again: --store ${name} --seed ${roundFrom} --trials ${campaign.width} --width ${campaign.width} --keep`,
      )
      for (const { rule, message } of violations.slice(0, 10)) console.log(`  BROKEN ${rule}: ${message}`)
    }
    const poor = failures.length > 0 ? [] : belowFloors(statistics, faults)
    for (const finding of poor) console.log(`${name}: ${finding}`)
    if (failures.length === 0 && !campaign.keep) await rm(folder, { recursive: true, force: true })
    return failures.length === 0 && poor.length === 0
  } finally {
    await pool.close()
    await sink.stop()
    await backend.stop()
  }
}
