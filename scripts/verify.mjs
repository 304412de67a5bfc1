// npm run verify: the deterministic simulation with a million seeds, then fault trials on real processes and servers,
// a thousand on each store, those of locks, tokens, tasks, messages, dedupe and SQL guards, and 10,000 operations over each Redis client.
//   -- --seeds N | --seed N                              the simulation only
//   -- --trials N [--seed S] [--store A,B] [--faults …]  the fault trials only
//   -- --locks [--trials N] [--seed S] [--store A,B]     the fault trials of locks only
//   -- --work [--lane A,B] [--trials N] [--seed S] [--store A,B]   the fault trials of tokens, tasks, messages, dedupe and SQL guards only
//   -- --redis-retry [--operations N] [--seed S] [--failover]   the Redis client that retries safely only
//   -- --losses [--trials N]                             what is lost where loss is documented, measured
import { join } from 'node:path'
import { ensureBuilt } from './house/build.mjs'
import { ensureInstalled } from './house/install.mjs'
import { main } from './house/main.mjs'
import { ROOT } from './house/paths.mjs'
import { runNode, runTool } from './house/run.mjs'

const PARTS = {
  simulation: { script: 'verify/simulation/dist/run.js', usual: ['--seeds', '1000000'] },
  faults: { script: 'verify/faults/dist/faults/run.js', usual: ['--trials', '1000'] },
  locks: { script: 'verify/faults/dist/faults/locks/run-locks.js', usual: ['--trials', '300'] },
  work: { script: 'verify/faults/dist/faults/work/run-work.js', usual: ['--trials', '60'] },
  'redis-retry': {
    script: 'verify/faults/dist/faults/redis-retry/run-redis-retry.js',
    usual: ['--operations', '10000', '--failover'],
  },
  losses: { script: 'verify/faults/dist/faults/run-losses.js', usual: [] },
}

await main(async () => {
  const given = process.argv.slice(2)
  await ensureInstalled()
  await ensureBuilt()
  for (const name of partsFor(given)) {
    const { script, usual } = PARTS[name]
    const project = name === 'simulation' ? 'verify/simulation' : 'verify/faults'
    const { code, output } = await runTool('tsc', ['-p', project])
    if (code !== 0) throw new Error(`${project} does not compile:\n${output}`)
    const asked = given.filter((argument) => !/^--(?:losses|locks|work|redis-retry)$/.test(argument))
    const ran = await runNode(join(ROOT, script), asked.length > 0 ? asked : usual, {
      show: true,
      timeoutMs: 12 * 3_600_000,
    })
    if (ran.code !== 0) return ran.code
  }
  return 0
})

/**
 * @param {string[]} given
 * @returns {(keyof typeof PARTS)[]}
 */
function partsFor(given) {
  if (given.includes('--losses')) return ['losses']
  if (given.includes('--locks')) return ['locks']
  if (given.includes('--work')) return ['work']
  if (given.includes('--redis-retry')) return ['redis-retry']
  if (given.some((argument) => /^--(?:trials|store|faults|width|library|keep)(?:=|$)/.test(argument)))
    return ['faults']
  return given.length > 0 ? ['simulation'] : ['simulation', 'faults', 'locks', 'work', 'redis-retry']
}
