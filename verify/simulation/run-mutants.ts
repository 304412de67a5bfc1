/**
 * Puts each fault of `mutants.ts` into a copy of the built library and looks whether the simulation notices.
 *
 * Exit codes: 0 when every mutant was killed, 1 when one lived or could not be made.
 */
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { runCampaign, runPlan } from './campaign.ts'
import { DEFAULT_ENGINE, loadEngine } from './engine.ts'
import { MUTANTS, type Mutant } from './mutants.ts'
import { REGRESSIONS, SCENARIOS } from './regressions.ts'
import { assertDrains, inMacrotask } from './scheduler.ts'

/** What became of one mutant. */
interface Fate {
  readonly seeds: number
  /** What was broken; absent when nobody noticed. */
  readonly killedBy?: string
}

/** A mutant that has shown nothing after so many seeds lives. */
const MOST_SEEDS = 30_000

/** A mutant that goes round in circles is stopped after so many ms, which counts as noticed. */
const HANGS_AFTER_MS = 600_000

if (isMainThread) process.exitCode = await main()
else await serve()

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { engine: { type: 'string', default: DEFAULT_ENGINE }, only: { type: 'string', default: '' } },
  })
  const chosen = MUTANTS.filter(({ name }) => name.includes(values.only))
  let killed = 0
  const queue = [...chosen]
  const work = async () => {
    for (let mutant = queue.shift(); mutant; mutant = queue.shift()) {
      const { seeds, killedBy } = await tryMutant(mutant, values.engine)
      if (killedBy !== undefined) killed++
      console.log(
        `${killedBy === undefined ? 'LIVES ' : 'killed'} ${mutant.name}: ${killedBy ?? 'nobody noticed'} (${seeds} seeds)`,
      )
    }
  }
  await Promise.all([work(), work()])
  console.log(`${killed} of ${chosen.length} mutants killed`)
  return killed === chosen.length ? 0 : 1
}

async function tryMutant(mutant: Mutant, original: string): Promise<Fate> {
  const folder = await mkdtemp(join(tmpdir(), 'onceward-mutant-'))
  try {
    await cp(join(resolve(original), 'core'), join(folder, 'core'), { recursive: true })
    await writeFile(join(folder, 'package.json'), '{ "type": "module" }')
    const file = join(folder, 'core', mutant.file)
    const pieces = (await readFile(file, 'utf8')).split(mutant.find)
    if (pieces.length !== 2) {
      throw new Error(
        `"${mutant.name}" fits ${mutant.file} in ${pieces.length - 1} places, not in one; renew it`,
      )
    }
    await writeFile(file, pieces.join(mutant.replace))
    return await inWorker(folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function inWorker(folder: string): Promise<Fate> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(fileURLToPath(import.meta.url), { workerData: folder })
    const timer = setTimeout(() => end({ seeds: 0, killedBy: 'it hangs' }), HANGS_AFTER_MS)
    const end = (fate: Fate) => {
      clearTimeout(timer)
      void worker.terminate()
      resolve(fate)
    }
    worker.once('message', end)
    worker.once('error', (error) => {
      clearTimeout(timer)
      reject(error)
    })
  })
}

async function serve(): Promise<void> {
  Error.stackTraceLimit = 0
  // A mutant may leave a rejection that nobody handles; that is noticed too, not the end of the campaign.
  let unhandled = 0
  process.on('unhandledRejection', () => unhandled++)
  await inMacrotask(assertDrains)
  const engine = await loadEngine(workerData as string)
  for (const { shows, plan } of [...SCENARIOS, ...REGRESSIONS]) {
    const [violation] = await inMacrotask(() => runPlan(plan, engine))
    if (violation === undefined) continue
    parentPort?.postMessage({ seeds: 0, killedBy: `${violation.rule}, in: ${shows}` })
    return
  }
  const { seeds, failures } = await runCampaign({ from: 1, seeds: MOST_SEEDS }, engine)
  const killedBy = failures[0]?.violations[0]?.rule ?? (unhandled > 0 ? 'an unhandled rejection' : undefined)
  parentPort?.postMessage(killedBy === undefined ? { seeds } : { seeds, killedBy })
}
