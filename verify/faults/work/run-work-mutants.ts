/**
 * Puts each fault of `work-mutants.ts` into a copy of the built library and looks whether the trials notice.
 *
 * Exit codes: 0 when every mutant was killed, 1 when one lived or could not be made, 2 for wrong use.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { copyLibrary, DEFAULT_LIBRARY } from '../library.ts'
import { type ProcessPool, processPool } from '../process-pool.ts'
import { ROOT } from '../test-servers.ts'
import type { WorkOrder, WorkReport } from './run-work-worker.ts'
import { runWorkCampaign } from './work-campaign.ts'
import { type Edit, WORK_MUTANTS, type WorkMutant } from './work-mutants.ts'
import { startWorkSink, type WorkSink } from './work-sink.ts'
import { startWorkStage } from './work-stages.ts'

const USAGE = `node verify/faults/dist/faults/work/run-work-mutants.js [options]
  --trials N      a mutant that has shown nothing after so many trials lives (30)
  --seed S        the seed of the first trial (1)
  --store A,B     mutants of these stores only (all)
  --lane A        mutants of this lane only (all)
  --only TEXT     mutants whose name contains this text`

// Node.js 20 sometimes goes round in circles when it ends by itself while sockets are being closed.
process.exit(await main())

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      trials: { type: 'string', default: '30' },
      seed: { type: 'string', default: '1' },
      store: { type: 'string', default: '' },
      lane: { type: 'string', default: '' },
      only: { type: 'string', default: '' },
      help: { type: 'boolean', default: false },
    },
  })
  const [trials = 0, from = 0] = [values.trials, values.seed].map(Number)
  if (values.help || !(trials >= 1) || !Number.isSafeInteger(from)) {
    console.log(USAGE)
    return values.help ? 0 : 2
  }
  const stores = values.store === '' ? undefined : values.store.split(',')
  const chosen = WORK_MUTANTS.filter(
    ({ name, store, lane }) =>
      name.includes(values.only) && lane.includes(values.lane) && (stores?.includes(store) ?? true),
  )
  const sound = await copyLibrary(join(ROOT, DEFAULT_LIBRARY), ROOT)
  const sink = await startWorkSink()
  let killed = 0
  let skipped = 0
  try {
    for (const mutant of chosen) {
      // Processes that have loaded a mutant keep it: each has its own.
      const worker = fileURLToPath(new URL('run-work-worker.js', import.meta.url))
      const pool = processPool<WorkOrder, WorkReport>(worker, 2, { quiet: true })
      const fate = await tryMutant(mutant, { sound, pool, sink, trials, from }).finally(() => pool.close())
      if (fate === 'skipped') skipped++
      else if (fate !== 'nobody noticed') killed++
      const how = { skipped: 'skipped', 'nobody noticed': 'LIVES' }[fate] ?? 'killed'
      console.log(`${how} ${mutant.lane} on ${mutant.store}: ${mutant.name}: ${fate}`)
    }
  } finally {
    await sink.stop()
    await rm(sound, { recursive: true, force: true })
  }
  console.log(`${killed} of ${chosen.length - skipped} mutants killed`)
  return killed === chosen.length - skipped && killed > 0 ? 0 : 1
}

interface Lab {
  /** The library as it is. */
  readonly sound: string
  readonly pool: ProcessPool<WorkOrder, WorkReport>
  readonly sink: WorkSink
  readonly trials: number
  readonly from: number
}

/** Answers the rule that was broken, and after how many trials. */
async function tryMutant(mutant: WorkMutant, { sound, pool, sink, trials, from }: Lab): Promise<string> {
  const library = await copyLibrary(sound, ROOT)
  const folder = await mkdtemp(join(tmpdir(), 'onceward-work-mutant-'))
  try {
    for (const edit of mutant.edits) await breakFile(library, mutant.name, edit)
    const started = await startWorkStage(mutant.store, library)
    if ('missing' in started) return 'skipped'
    const { stage } = started
    try {
      const { statistics, failures } = await runWorkCampaign({
        stage,
        lane: mutant.lane,
        pool,
        sink,
        library,
        folder,
        faults: mutant.faults ?? stage.faults,
        from,
        trials,
        width: 2,
        maxFailures: 1,
        promisesOnly: true,
        run: `m${Date.now().toString(36)}`,
      })
      const rules = new Set(failures[0]?.violations.map(({ rule }) => rule))
      return rules.size === 0 ? 'nobody noticed' : `${[...rules].join(', ')} (${statistics.trials} trials)`
    } finally {
      await stage.stop()
    }
  } finally {
    await rm(library, { recursive: true, force: true })
    await rm(folder, { recursive: true, force: true })
  }
}

async function breakFile(library: string, name: string, { file, find, replace }: Edit): Promise<void> {
  const path = join(library, file)
  const pieces = (await readFile(path, 'utf8')).split(find)
  if (pieces.length !== 2)
    throw new Error(`"${name}" fits ${file} in ${pieces.length - 1} places, not in one; renew it`)
  await writeFile(path, pieces.join(replace))
}
