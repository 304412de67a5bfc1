/**
 * Puts each fault of `mutants.ts` into a copy of the built library and looks whether the trials notice.
 *
 * Exit codes: 0 when every mutant was killed, 1 when one lived or could not be made, 2 for wrong use.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { Backend } from './backend.ts'
import { startBackend } from './backends.ts'
import { runCampaign } from './campaign.ts'
import { breakLibrary } from './harness/mutants.ts'
import { copyLibrary, DEFAULT_LIBRARY, loadLibrary } from './library.ts'
import { MUTANTS, type Mutant } from './mutants.ts'
import { type Sink, startSink } from './sink.ts'
import { ROOT } from './test-servers.ts'
import { type WorkerPool, workerPool } from './worker-pool.ts'

const USAGE = `node verify/faults/dist/faults/run-mutants.js [options]
  --trials N      a mutant that has shown nothing after so many trials lives (120)
  --seed S        the seed of the first trial (1)
  --store A,B     mutants of these stores only (all)
  --only TEXT     mutants whose name contains this text`

// Node.js 20 sometimes goes round in circles when it ends by itself while sockets are being closed.
process.exit(await main())

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      trials: { type: 'string', default: '120' },
      seed: { type: 'string', default: '1' },
      store: { type: 'string', default: '' },
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
  const chosen = MUTANTS.filter(
    ({ name, store }) => name.includes(values.only) && (stores?.includes(store) ?? true),
  )
  const sink = await startSink()
  const sound = await copyLibrary(join(ROOT, DEFAULT_LIBRARY), ROOT)
  let killed = 0
  try {
    for (const store of new Set(chosen.map((mutant) => mutant.store))) {
      const started = await startBackend(store, sound)
      if ('missing' in started) {
        console.log(`skipped the mutants of ${store}: ${started.missing}`)
        continue
      }
      const { backend } = started
      const pool = workerPool(3, { drivers: backend.drivers })
      try {
        for (const mutant of chosen.filter((one) => one.store === store)) {
          const fate = await tryMutant(mutant, { sound, backend, pool, sink, trials, from })
          if (fate.rule !== undefined) killed++
          const how = fate.rule === undefined ? 'LIVES ' : 'killed'
          console.log(
            `${how} ${store}: ${mutant.name}: ${fate.rule ?? 'nobody noticed'} (${fate.trials} trials)`,
          )
        }
      } finally {
        await pool.close()
        await backend.stop()
      }
    }
  } finally {
    await rm(sound, { recursive: true, force: true })
    await sink.stop()
  }
  console.log(`${killed} of ${chosen.length} mutants killed`)
  return killed === chosen.length && killed > 0 ? 0 : 1
}

interface Lab {
  /** The library as it is. */
  readonly sound: string
  readonly backend: Backend
  readonly pool: WorkerPool
  readonly sink: Sink
  readonly trials: number
  readonly from: number
}

/** What became of a mutant. */
interface Fate {
  readonly trials: number
  /** What was broken; absent when nobody noticed. */
  readonly rule?: string
}

async function tryMutant(mutant: Mutant, { sound, backend, pool, sink, trials, from }: Lab): Promise<Fate> {
  const library = await copyLibrary(sound, ROOT)
  const folder = await mkdtemp(join(tmpdir(), 'onceward-faults-mutant-'))
  try {
    await breakLibrary(library, mutant)
    await backend.renew(await loadLibrary(library))
    const run = `m${Date.now().toString(36)}`
    const stage = { backend, pool, sink, library, folder, run, faults: mutant.faults ?? backend.faults }
    const { statistics, failures } = await runCampaign(stage, {
      from,
      trials,
      width: 4,
      maxFailures: 1,
      promisesOnly: true,
    })
    const rule = failures[0]?.violations[0]?.rule
    return { trials: statistics.trials, ...(rule === undefined ? {} : { rule }) }
  } finally {
    await rm(library, { recursive: true, force: true })
    await rm(folder, { recursive: true, force: true })
  }
}
