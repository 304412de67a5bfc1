/**
 * Runs the deterministic simulation from the command line; see README.md beside this file.
 *
 * Exit codes: 0 when every seed kept every promise, 1 when one did not or the campaign saw too little, 2 for wrong use.
 */
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { type Campaign, type CampaignResult, runCampaign, runPlan } from './campaign.ts'
import { check } from './checker.ts'
import { DEFAULT_ENGINE, loadEngine } from './engine.ts'
import { belowFloors } from './floors.ts'
import { addStatistics, noStatistics } from './history.ts'
import { makePlan, type Plan } from './plan.ts'
import { REGRESSIONS, SCENARIOS } from './regressions.ts'
import { assertDrains, inMacrotask } from './scheduler.ts'
import { shrink } from './shrink.ts'
import { simulate } from './simulate.ts'
import { tellPlan, traceOf } from './trace.ts'

const USAGE = `node verify/simulation/dist/run.js [options]
  --seeds N     how many seeds to run (10000)
  --from S      the first of them (1)
  --jobs N      how many of them at the same time (2)
  --seed S      run one seed and print what happened
  --no-shrink   do not make a failing seed smaller
  --engine DIR  the built library (${DEFAULT_ENGINE})`

if (isMainThread) process.exitCode = await main()
else await serve()

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string', default: '10000' },
      from: { type: 'string', default: '1' },
      jobs: { type: 'string', default: '2' },
      seed: { type: 'string' },
      engine: { type: 'string', default: DEFAULT_ENGINE },
      'no-shrink': { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  const numbers = [values.seeds, values.from, values.jobs, values.seed ?? '0'].map(Number)
  const [seeds = 0, from = 0, jobs = 0, seed = 0] = numbers
  if (values.help || jobs < 1 || numbers.some((number) => !Number.isSafeInteger(number) || number < 0)) {
    console.log(USAGE)
    return values.help ? 0 : 2
  }
  if (values.seed !== undefined) return await replay(makePlan(seed), values.engine)

  const kept = await regress(values.engine)
  const shares = Array.from({ length: jobs }, (_, job): Campaign => {
    return { from: from + job, seeds: Math.ceil((seeds - job) / jobs), stride: jobs }
  })
  const results = await Promise.all(shares.map((share) => inWorker(share, values.engine)))
  const total = noStatistics()
  for (const { statistics } of results) addStatistics(total, statistics)
  const ran = results.reduce((sum, result) => sum + result.seeds, 0)
  const tookMs = Math.max(...results.map((result) => result.tookMs))
  const failures = results.flatMap((result) => result.failures)

  for (const [name, count] of Object.entries(total)) console.log(`${String(count).padStart(12)}  ${name}`)
  console.log(
    `${ran} seeds in ${(tookMs / 1000).toFixed(1)} s: ${Math.round((ran / tookMs) * 1000)} seeds a second`,
  )
  const first = failures[0]
  if (first) {
    const rule = first.violations[0]?.rule ?? ''
    console.log(`seed ${first.seed} broke "${rule}"; see it with --seed ${first.seed}`)
    if (!values['no-shrink'])
      await replay(await smaller(makePlan(first.seed), rule, values.engine), values.engine)
  }
  const poor = failures.length > 0 ? [] : belowFloors(total, ran)
  for (const finding of poor) console.log(finding)
  const good = kept && failures.length === 0 && poor.length === 0
  console.log(good ? 'every promise was kept' : 'FAILED')
  return good ? 0 : 1
}

/** Runs the plans that were kept. */
async function regress(folder: string): Promise<boolean> {
  await inMacrotask(assertDrains)
  const engine = await loadEngine(folder)
  let kept = true
  for (const { shows, plan } of [...REGRESSIONS, ...SCENARIOS]) {
    const [violation] = await inMacrotask(() => runPlan(plan, engine))
    if (violation === undefined) continue
    kept = false
    console.log(`broken again: ${shows}: ${violation.rule}: ${violation.message}`)
  }
  return kept
}

async function replay(plan: Plan, folder: string): Promise<number> {
  await inMacrotask(assertDrains)
  const engine = await loadEngine(folder)
  const { history } = await inMacrotask(() => simulate(plan, engine))
  const { violations } = check(plan, history)
  console.log(tellPlan(plan))
  console.log(traceOf(history))
  for (const { rule, at, message } of violations)
    console.log(`BROKEN at ${at.toFixed(2)}: ${rule}: ${message}`)
  return violations.length === 0 ? 0 : 1
}

async function smaller(plan: Plan, rule: string, folder: string): Promise<Plan> {
  const engine = await loadEngine(folder)
  return await inMacrotask(() =>
    shrink(plan, (candidate) => {
      const { history, faulted } = simulate(candidate, engine)
      return {
        fails: check(candidate, history).violations.some((violation) => violation.rule === rule),
        faulted,
      }
    }),
  )
}

function inWorker(share: Campaign, folder: string): Promise<CampaignResult> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(fileURLToPath(import.meta.url), { workerData: { share, folder } })
    worker.once('message', resolve)
    worker.once('error', reject)
  })
}

async function serve(): Promise<void> {
  const { share, folder } = workerData as { readonly share: Campaign; readonly folder: string }
  // Nobody reads the stacks of ten thousand expected errors; a failing seed is replayed with them.
  Error.stackTraceLimit = 0
  await inMacrotask(assertDrains)
  parentPort?.postMessage(await runCampaign(share, await loadEngine(folder)))
}
