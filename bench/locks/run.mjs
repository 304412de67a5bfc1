// Locks: pairs that nobody contends for, many waiters over two processes, and many leases that one process keeps.
// Run: node bench/locks/run.mjs [--rounds 3] [--ms 600] [--keepMs 10000] [--leases 10000] [--only redis] (after a build)
import { availableParallelism, loadavg } from 'node:os'
import { readOptions, withFolder } from '../lib/options.mjs'
import { report } from '../lib/report.mjs'
import { compareLocks } from './compare.mjs'
import { contestants } from './contestants.mjs'
import { startServers } from './servers.mjs'

const options = readOptions({ rounds: 3, ms: 600, keepMs: 10_000, leases: 10_000, only: '' })
const chosen = contestants.filter(({ name }, index) => index === 0 || name.includes(options.only))
const note = busyNote()
await withFolder(async (folder) => {
  const servers = await startServers([...new Set(chosen.map(({ server }) => server))], folder)
  try {
    const parts = await compareLocks(chosen, servers, { ...options, note })
    const name = options.only === '' ? 'locks' : `locks-${options.only}`
    report(name, 'Locks', [
      `${[...servers.values()].map(({ about }) => about).join('; ')}; all on one machine with two client processes. Medians ` +
        `(min–max) of ${options.rounds} interleaved rounds of about ${options.ms} ms; a ratio is the median of the ratios to ` +
        'the first contestant within a round. A contestant counts only if nobody ever held a key beside another.',
      ...parts,
    ])
  } finally {
    for (const server of servers.values()) await server.stop()
  }
})

/** Says so where others were at work on this machine before anything began. */
function busyNote() {
  const [load = 0] = loadavg()
  const processors = availableParallelism()
  if (load <= processors) return ''
  return (
    `**The machine was busy** with other work when this began: a load of ${load.toFixed(0)} on ${processors} processors. What ` +
    'takes time is slower here than it is, by a factor; counts of commands and round trips, and what went wrong, are as they are.'
  )
}
