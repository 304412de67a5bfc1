/**
 * Puts each fault of `lock-mutants.ts` into a copy of the built library and looks whether the trials of locks notice.
 *
 * Exit codes: 0 when every mutant was killed, 1 when one lived or could not be made, 2 for wrong use.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { copyLibrary, DEFAULT_LIBRARY } from '../library.ts'
import { ROOT } from '../test-servers.ts'
import { runLockCampaign } from './lock-campaign.ts'
import { LOCK_MUTANTS, type LockMutant } from './lock-mutants.ts'
import { type LockPool, lockPool } from './lock-pool.ts'
import { type LockSink, startLockSink } from './lock-sink.ts'
import { startLockStage } from './lock-stages.ts'

const USAGE = `node verify/faults/dist/faults/locks/run-lock-mutants.js [options]
  --trials N      a mutant that has shown nothing after so many trials lives (60)
  --seed S        the seed of the first trial (1)
  --store A,B     mutants of these backends only (all)
  --only TEXT     mutants whose name contains this text`

// Node.js 20 sometimes goes round in circles when it ends by itself while sockets are being closed.
process.exit(await main())

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      trials: { type: 'string', default: '60' },
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
  const chosen = LOCK_MUTANTS.filter(
    ({ name, store }) => name.includes(values.only) && (stores?.includes(store) ?? true),
  )
  const sound = await copyLibrary(join(ROOT, DEFAULT_LIBRARY), ROOT)
  const sink = await startLockSink()
  const pool = lockPool(3, { quiet: true })
  let killed = 0
  let skipped = 0
  try {
    for (const mutant of chosen) {
      const fate = await tryMutant(mutant, { sound, pool, sink, trials, from })
      if (fate === 'skipped') skipped++
      else if (fate !== 'nobody noticed') killed++
      const how = { skipped: 'skipped', 'nobody noticed': 'LIVES' }[fate] ?? 'killed'
      console.log(`${how} ${mutant.store}: ${mutant.name}: ${fate}`)
    }
  } finally {
    await pool.close()
    await sink.stop()
    await rm(sound, { recursive: true, force: true })
  }
  console.log(`${killed} of ${chosen.length - skipped} mutants killed`)
  return killed === chosen.length - skipped && killed > 0 ? 0 : 1
}

interface Lab {
  /** The library as it is. */
  readonly sound: string
  readonly pool: LockPool
  readonly sink: LockSink
  readonly trials: number
  readonly from: number
}

/** Answers the rule that was broken, and after how many trials. */
async function tryMutant(mutant: LockMutant, { sound, pool, sink, trials, from }: Lab): Promise<string> {
  const library = await copyLibrary(sound, ROOT)
  const folder = await mkdtemp(join(tmpdir(), 'onceward-lock-mutant-'))
  try {
    await breakFile(join(library, mutant.file), mutant)
    const started = await startLockStage(mutant.store, library)
    if ('missing' in started) return 'skipped'
    const { stage } = started
    try {
      const { statistics, failures } = await runLockCampaign({
        stage,
        pool,
        sink,
        library,
        folder,
        faults: mutant.faults ?? stage.faults,
        from,
        trials,
        width: 3,
        maxFailures: 1,
        promisesOnly: true,
        run: `m${Date.now().toString(36)}`,
      })
      const rule = failures[0]?.violations[0]?.rule
      return rule === undefined ? 'nobody noticed' : `${rule} (${statistics.trials} trials)`
    } finally {
      await stage.stop()
    }
  } finally {
    await rm(library, { recursive: true, force: true })
    await rm(folder, { recursive: true, force: true })
  }
}

async function breakFile(file: string, { name, find, replace }: LockMutant): Promise<void> {
  const pieces = (await readFile(file, 'utf8')).split(find)
  if (pieces.length !== 2)
    throw new Error(`"${name}" fits ${file} in ${pieces.length - 1} places, not in one; renew it`)
  await writeFile(file, pieces.join(replace))
}
