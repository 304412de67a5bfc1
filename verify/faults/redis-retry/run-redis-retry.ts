/**
 * Proves the Redis client that retries safely, under faults of the network and the server; see README.md in the folder above.
 *
 * Exit codes: 0 when each operation took effect once and was answered right, 1 when not or too little was seen, 2 for wrong use.
 */
import { parseArgs } from 'node:util'
import { createPrng } from '../../simulation/prng.ts'
import { runBareControl } from './bare-control.ts'
import { measureFailover } from './failover-loss.ts'
import { type RetryLane, type RetryOutcome, runRetryLane } from './retry-campaign.ts'
import { CLIENTS, type ClientName, TOPOLOGIES, type Topology } from './retry-clients.ts'
import { type RetryStage, startRetryStage } from './retry-stage.ts'

const USAGE = `node verify/faults/dist/faults/redis-retry/run-redis-retry.js [options]
  --operations N   how many operations on each client and topology (10000)
  --seed S         the seed of the faults (1)
  --client A,B     which clients (all): ${CLIENTS.join(', ')}
  --topology A,B   which servers (all): ${TOPOLOGIES.join(', ')}
  --failover       measures afterwards what a failover loses, without and with WAIT`

// Node.js 20 sometimes goes round in circles when it ends by itself while sockets are being closed.
process.exit(await main())

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      'redis-retry': { type: 'boolean', default: true },
      operations: { type: 'string', default: '10000' },
      seed: { type: 'string', default: '1' },
      client: { type: 'string', default: CLIENTS.join(',') },
      topology: { type: 'string', default: TOPOLOGIES.join(',') },
      failover: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  const [operations, seed] = [Number(values.operations), Number(values.seed)]
  const clients = values.client.split(',') as ClientName[]
  const topologies = values.topology.split(',') as Topology[]
  const wrong =
    ![operations, seed].every((number) => Number.isSafeInteger(number) && number > 0) ||
    !clients.every((name) => CLIENTS.includes(name)) ||
    !topologies.every((name) => TOPOLOGIES.includes(name))
  if (values.help || wrong) {
    console.log(USAGE)
    return values.help ? 0 : 2
  }
  let good = true
  for (const topology of topologies) {
    const prng = createPrng(seed)
    const stage = await startRetryStage(topology, () => prng.between(400, 900))
    try {
      for (const client of clients) {
        const lane = { client, topology, operations, seed }
        good = tell(stage, lane, await runRetryLane(stage, lane)) && good
        const bare = await runBareControl(stage, client, topology, Math.min(operations, 1000))
        const more = bare.executed - bare.acknowledged
        console.log(
          `  control, bare: ${bare.acknowledged} INCRs acknowledged, ${bare.executed} executed, ${more} too many`,
        )
        if (more <= 0)
          console.log('  TOO LITTLE: the bare client repeated nothing, so this network proves nothing')
        good &&= more > 0
      }
    } finally {
      await stage.stop()
    }
  }
  if (values.failover) {
    for (const client of clients) good = (await tellFailover(client)) && good
  }
  console.log(good ? '\nevery operation took effect once and was answered right' : '\nFAILED')
  return good ? 0 : 1
}

function tell(stage: RetryStage, lane: RetryLane, outcome: RetryOutcome): boolean {
  const { acknowledged, wrong, breakages, restarts, flushes, stats, seconds } = outcome
  const faults = Object.entries(breakages).map(([kind, times]) => `${kind} ${times}`)
  console.log(
    `\n== ${lane.client}, ${lane.topology}, Redis ${stage.version}, seed ${lane.seed}: ${seconds.toFixed(1)} s ==`,
  )
  console.log(`  ${lane.operations} operations, ${acknowledged} acknowledged, ${wrong.length} violations`)
  console.log(`  faults: ${faults.join(', ')}; ${restarts} servers killed, scripts flushed ${flushes} times`)
  console.log(
    `  ${stats.retries} attempts repeated, ${stats.replays} duplicates suppressed, ${stats.ambiguous} ambiguous`,
  )
  for (const finding of wrong.slice(0, 10)) console.log(`  BROKEN ${finding}`)
  const seen = stats.replays > 0 && restarts > 0 && flushes > 0
  if (wrong.length === 0 && !seen) console.log('  TOO LITTLE: no duplicate, no restart or no flush was seen')
  return wrong.length === 0 && seen && acknowledged === lane.operations
}

/** Without `WAIT` a loss is what Redis promises; a duplicate never is, nor a loss with `WAIT` here. */
async function tellFailover(client: ClientName): Promise<boolean> {
  let good = true
  console.log(`\n== ${client}, replication cut, primary killed, replica promoted ==`)
  for (const waits of [false, true]) {
    const { acknowledged, lost, duplicated } = await measureFailover(client, 3000, waits)
    const how = waits ? 'WAIT 1' : 'asynchronous'
    console.log(`  ${how}: ${acknowledged} acknowledged, ${lost} of them lost, ${duplicated} executed twice`)
    good &&= duplicated === 0 && (!waits || lost === 0)
  }
  return good
}
