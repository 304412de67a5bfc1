/**
 * Runs fault trials of locks on real processes and real servers; see README.md in the folder above.
 *
 * Exit codes: 0 when every promise was kept, 1 when one was not or too little was seen, 2 for wrong use.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { copyLibrary, DEFAULT_LIBRARY } from '../library.ts'
import { ROOT } from '../test-servers.ts'
import { runLockCampaign } from './lock-campaign.ts'
import { LOCK_FAULTS, type LockFaultKind } from './lock-faults.ts'
import { lockPool } from './lock-pool.ts'
import { startLockSink } from './lock-sink.ts'
import { LOCK_STAGES, startLockStage } from './lock-stages.ts'
import { belowLockFloors, tellLockStatistics } from './lock-statistics.ts'

const USAGE = `node verify/faults/dist/faults/locks/run-locks.js [options]
  --trials N      how many trials on each backend (100)
  --seed S        the seed of the first (1)
  --store A,B     which backends (all): ${Object.keys(LOCK_STAGES).join(', ')}
  --faults A,B    which faults (all but those that make a server forget): ${LOCK_FAULTS.join(', ')}
  --forgetting    adds what makes a server forget locks: two may count on one then, and are counted
  --width N       how many trials run side by side (4)
  --seconds N     begin no further round on a backend after so many seconds (no limit)
  --pace N        how much longer leases are than 300 to 500 ms (1)
  --failures N    end after so many trials that broke a promise (1)
  --keep          keep all histories, not only those of broken trials
  --library DIR   the built library of the workers (${DEFAULT_LIBRARY})
  --require-all   fail where a server cannot be had here, instead of skipping it`

// Node.js 20 sometimes goes round in circles when it ends by itself while sockets are being closed.
process.exit(await main())

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      locks: { type: 'boolean', default: true },
      trials: { type: 'string', default: '100' },
      seed: { type: 'string', default: '1' },
      store: { type: 'string', default: Object.keys(LOCK_STAGES).join(',') },
      faults: { type: 'string', default: '' },
      forgetting: { type: 'boolean', default: false },
      width: { type: 'string', default: '4' },
      failures: { type: 'string', default: '1' },
      pace: { type: 'string' },
      seconds: { type: 'string' },
      library: { type: 'string', default: join(ROOT, DEFAULT_LIBRARY) },
      keep: { type: 'boolean', default: false },
      'require-all': { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  const numbers = [values.trials, values.seed, values.width, values.failures].map(Number)
  const [trials = 0, from = 0, width = 0, maxFailures = 0] = numbers
  const stores = values.store.split(',')
  const only = values.faults === '' ? undefined : (values.faults.split(',') as LockFaultKind[])
  const wrong =
    numbers.some((number) => !Number.isSafeInteger(number) || number < 1) ||
    stores.some((name) => !(name in LOCK_STAGES)) ||
    only?.some((kind) => !LOCK_FAULTS.includes(kind))
  if (values.help || wrong) {
    console.log(USAGE)
    return values.help ? 0 : 2
  }
  let good = true
  const library = await copyLibrary(resolve(values.library), ROOT)
  const sink = await startLockSink()
  const pool = lockPool(3)
  try {
    for (const name of stores) {
      const started = await startLockStage(name, library, {
        forgetting: values.forgetting || values.faults !== '',
      })
      if ('missing' in started) {
        console.log(`${name}: ${values['require-all'] ? 'FAILED' : 'skipped'}: ${started.missing}`)
        good = good && !values['require-all']
        continue
      }
      const { stage } = started
      const usual = [...stage.faults, ...(values.forgetting ? stage.forgetting : [])]
      const faults = only
        ? [...stage.faults, ...stage.forgetting].filter((kind) => only.includes(kind))
        : usual
      const folder = await mkdtemp(join(tmpdir(), `onceward-lock-faults-${name}-`))
      const startedAt = performance.now()
      try {
        const { statistics, failures } = await runLockCampaign({
          stage,
          pool,
          sink,
          library,
          folder,
          faults,
          from,
          trials,
          width,
          maxFailures,
          keep: values.keep,
          run: `l${Date.now().toString(36)}`,
          ...(values.seconds === undefined ? {} : { seconds: Number(values.seconds) }),
          ...(values.pace === undefined ? {} : { pace: Number(values.pace) }),
        })
        const seconds = (performance.now() - startedAt) / 1000
        console.log(`\n== locks on ${name} ==\n${tellLockStatistics(statistics, seconds)}`)
        for (const { seed, folder: kept, violations } of failures) {
          console.log(`seed ${seed} broke its promises; its history is in ${kept}`)
          for (const { rule, message } of violations.slice(0, 10)) console.log(`  BROKEN ${rule}: ${message}`)
        }
        const poor = failures.length > 0 ? [] : belowLockFloors(statistics, faults)
        for (const finding of poor) console.log(`${name}: ${finding}`)
        good = good && failures.length === 0 && poor.length === 0
        if (failures.length === 0 && !values.keep) await rm(folder, { recursive: true, force: true })
      } finally {
        await stage.stop()
      }
    }
  } finally {
    await pool.close()
    await sink.stop()
    await rm(library, { recursive: true, force: true })
  }
  console.log(good ? 'every promise was kept' : 'FAILED')
  return good ? 0 : 1
}
