// npm run bench [-- NAME… [--quick] [OPTION…]]: runs the measurements, or the named ones. Each prints its tables, writes
// them to bench/results and brings docs/performance.md up to date. `--quick` takes fewer and shorter rounds; any other
// option is handed to each measurement that runs, such as `npm run bench -- redis --rounds 3 --ms 400`.
import { join } from 'node:path'
import { ensureBuilt } from './house/build.mjs'
import { ensureInstalled } from './house/install.mjs'
import { main } from './house/main.mjs'
import { ROOT } from './house/paths.mjs'
import { runNode } from './house/run.mjs'

/**
 * `minutes` and `quickMinutes` are what it takes on a quiet machine with two cores; no `quick` leaves it out of a quick run.
 *
 * @typedef {{ file: string, minutes: number, quick?: readonly string[], quickMinutes?: number }} Bench
 */

const SHORT = ['--rounds', '3', '--ms', '300']

const BENCHES = /** @type {Record<string, Bench>} */ ({
  redis: { file: 'bench/redis/run.mjs', minutes: 7, quick: SHORT, quickMinutes: 2.5 },
  cluster: { file: 'bench/redis/cluster.mjs', minutes: 4, quick: SHORT, quickMinutes: 1.3 },
  sql: { file: 'bench/sql/run.mjs', minutes: 9, quick: SHORT, quickMinutes: 2.6 },
  tiered: { file: 'bench/tiered/run.mjs', minutes: 0.8, quick: SHORT, quickMinutes: 0.4 },
  sqlite: { file: 'bench/sqlite/claims.mjs', minutes: 1.4, quick: SHORT, quickMinutes: 0.4 },
  http: {
    file: 'bench/http/run.mjs',
    minutes: 4,
    quick: [...SHORT, '--synchronous', 'normal', '--warmUpMs', '3000'],
    quickMinutes: 1.2,
  },
  gateway: { file: 'bench/gateway/run.mjs', minutes: 1, quick: SHORT, quickMinutes: 0.6 },
  growth: {
    file: 'bench/growth/run.mjs',
    minutes: 4,
    quick: ['--rounds', '2', '--ms', '250'],
    quickMinutes: 3,
  },
  processes: {
    file: 'bench/growth/processes.mjs',
    minutes: 1.5,
    quick: ['--rounds', '2', '--ms', '500'],
    quickMinutes: 0.8,
  },
  locks: {
    file: 'bench/locks/run.mjs',
    minutes: 5,
    quick: ['--rounds', '2', '--ms', '200', '--keepMs', '6000'],
    quickMinutes: 3,
  },
  outbox: {
    file: 'bench/outbox/run.mjs',
    minutes: 1,
    quick: ['--events', '5000', '--ms', '300'],
    quickMinutes: 0.6,
  },
  'redis-retry': {
    file: 'bench/redis-retry/run.mjs',
    minutes: 0.8,
    quick: [...SHORT, '--markers', '2000'],
    quickMinutes: 0.3,
  },
  dedupe: {
    file: 'bench/dedupe/run.mjs',
    minutes: 0.5,
    quick: [...SHORT, '--entries', '50000'],
    quickMinutes: 0.4,
  },
  tokens: {
    file: 'bench/tokens/run.mjs',
    minutes: 0.5,
    quick: [...SHORT, '--tokens', '2000'],
    quickMinutes: 0.4,
  },
  tasks: {
    file: 'bench/tasks/run.mjs',
    minutes: 5,
    quick: ['--ms', '300', '--backlog', '20000'],
    quickMinutes: 0.9,
  },
  inbox: { file: 'bench/inbox/run.mjs', minutes: 0.6, quick: SHORT, quickMinutes: 0.4 },
  guards: { file: 'bench/guards/run.mjs', minutes: 0.5, quick: SHORT, quickMinutes: 0.3 },
  profile: { file: 'bench/profile/run.mjs', minutes: 0.3, quick: [], quickMinutes: 0.3 },
  memory: { file: 'bench/gateway/memory.mjs', minutes: 2 },
  weight: { file: 'bench/weight/run.mjs', minutes: 0.3, quick: ['--runs', '9'], quickMinutes: 0.2 },
})

await main(async () => {
  const given = process.argv.slice(2)
  const quick = given.includes('--quick')
  const args = given.filter((arg) => arg !== '--quick')
  const firstOption = args.findIndex((arg) => arg.startsWith('-'))
  const names = firstOption === -1 ? args : args.slice(0, firstOption)
  const options = firstOption === -1 ? [] : args.slice(firstOption)
  const unknown = names.find((name) => !Object.hasOwn(BENCHES, name))
  if (unknown !== undefined)
    throw new Error(`There is no bench "${unknown}"; there are ${Object.keys(BENCHES).join(', ')}`)
  const chosen = Object.entries(BENCHES).filter(([name, bench]) =>
    names.length > 0 ? names.includes(name) : !quick || bench.quick !== undefined,
  )
  await ensureInstalled()
  await ensureBuilt()
  const minutes = chosen.reduce(
    (sum, [, bench]) => sum + ((quick ? bench.quickMinutes : undefined) ?? bench.minutes),
    0,
  )
  console.error(
    `${chosen.map(([name]) => name).join(', ')}: about ${Math.ceil(minutes)} minutes on a quiet machine with two cores.`,
  )
  let worst = 0
  for (const [name, bench] of chosen) {
    const settings = [...(quick ? (bench.quick ?? []) : []), ...options]
    const started = performance.now()
    const { code } = await runNode(join(ROOT, bench.file), settings, { show: true, timeoutMs: 60 * 60_000 })
    const took = ((performance.now() - started) / 60_000).toFixed(1)
    console.error(code === 0 ? `${name} took ${took} minutes` : `${name} ended with code ${code}`)
    worst = Math.max(worst, code)
  }
  return worst
})
