/**
 * Runs fault trials of tokens, tasks and messages on real processes and real servers; see README.md in the folder above.
 *
 * Exit codes: 0 when every promise was kept, 1 when one was not or too little was seen, 2 for wrong use.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { copyLibrary, DEFAULT_LIBRARY } from '../library.ts'
import { processPool } from '../process-pool.ts'
import { ROOT } from '../test-servers.ts'
import type { WorkOrder, WorkReport } from './run-work-worker.ts'
import { runWorkCampaign } from './work-campaign.ts'
import { WORK_FAULTS, type WorkFaultKind } from './work-faults.ts'
import { LANES, type LaneName } from './work-plan.ts'
import { startWorkSink } from './work-sink.ts'
import { startWorkStage, WORK_STAGES } from './work-stages.ts'
import { belowWorkFloors, tellWorkStatistics } from './work-statistics.ts'

const USAGE = `node verify/faults/dist/faults/work/run-work.js [options]
  --lane A,B      what is tried (all): ${LANES.join(', ')}
  --trials N      how many trials of each lane on each store (60)
  --seed S        the seed of the first (1)
  --store A,B     which stores (all): ${Object.keys(WORK_STAGES).join(', ')}; Redis has tokens only
  --faults A,B    which faults (all): ${WORK_FAULTS.join(', ')}
  --width N       how many trials run side by side (3)
  --seconds N     begin no further round of a lane on a store after so many seconds (no limit)
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
      work: { type: 'boolean', default: true },
      lane: { type: 'string', default: LANES.join(',') },
      trials: { type: 'string', default: '60' },
      seed: { type: 'string', default: '1' },
      store: { type: 'string', default: Object.keys(WORK_STAGES).join(',') },
      faults: { type: 'string', default: '' },
      width: { type: 'string', default: '3' },
      failures: { type: 'string', default: '1' },
      pace: { type: 'string', default: '1' },
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
  const lanes = values.lane.split(',') as LaneName[]
  const chosen = values.faults === '' ? WORK_FAULTS : (values.faults.split(',') as WorkFaultKind[])
  const wrong =
    numbers.some((number) => !Number.isSafeInteger(number) || number < 1) ||
    stores.some((name) => !(name in WORK_STAGES)) ||
    lanes.some((name) => !LANES.includes(name)) ||
    chosen.some((kind) => !WORK_FAULTS.includes(kind))
  if (values.help || wrong) {
    console.log(USAGE)
    return values.help ? 0 : 2
  }
  let good = true
  const library = await copyLibrary(resolve(values.library), ROOT)
  const sink = await startWorkSink()
  const worker = fileURLToPath(new URL('run-work-worker.js', import.meta.url))
  const pool = processPool<WorkOrder, WorkReport>(worker, 2)
  try {
    for (const name of stores) {
      const started = await startWorkStage(name, library)
      if ('missing' in started) {
        console.log(`${name}: ${values['require-all'] ? 'FAILED' : 'skipped'}: ${started.missing}`)
        good = good && !values['require-all']
        continue
      }
      const { stage } = started
      const faults = stage.faults.filter((kind) => chosen.includes(kind))
      try {
        for (const lane of lanes.filter((one) => stage.lanes.includes(one))) {
          const folder = await mkdtemp(join(tmpdir(), `onceward-work-faults-${lane}-${name}-`))
          const startedAt = performance.now()
          const { statistics, failures } = await runWorkCampaign({
            stage,
            lane,
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
            run: `w${Date.now().toString(36)}`,
            pace: Number(values.pace),
            ...(values.seconds === undefined ? {} : { seconds: Number(values.seconds) }),
          })
          const seconds = (performance.now() - startedAt) / 1000
          console.log(`\n== ${lane} on ${name} ==\n${tellWorkStatistics(statistics, seconds)}`)
          for (const { seed, folder: kept, violations } of failures) {
            console.log(`seed ${seed} broke its promises; its history is in ${kept}`)
            for (const { rule, message } of violations.slice(0, 10))
              console.log(`  BROKEN ${rule}: ${message}`)
          }
          const poor = failures.length > 0 ? [] : belowWorkFloors(statistics, lane, faults)
          for (const finding of poor) console.log(`${lane} on ${name}: ${finding}`)
          good = good && failures.length === 0 && poor.length === 0
          if (failures.length === 0 && !values.keep) await rm(folder, { recursive: true, force: true })
        }
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
