import { setTimeout as pause } from 'node:timers/promises'
import { type ClientName, openRetryClient, type Topology } from './retry-clients.ts'
import type { RetryStage } from './retry-stage.ts'

/** What the bare client did. */
export interface BareOutcome {
  readonly acknowledged: number
  readonly executed: number
}

const IN_FLIGHT = 20
const KILL_EVERY = 50

/**
 * Increments through the bare client: ioredis as it comes, node-redis in the loop that calls again when a connection was
 * lost. Instead of every 50th reply the connection is reset.
 */
export async function runBareControl(
  stage: RetryStage,
  client: ClientName,
  topology: Topology,
  operations: number,
): Promise<BareOutcome> {
  const key = `bare:${client}`
  const direct = await openRetryClient(client, topology, stage.direct, true)
  const opened = await openRetryClient(client, topology, stage.broken, true)
  let asked = 0
  let left = operations
  let acknowledged = 0
  stage.breakBy((request) => (request.includes(key) && ++asked % KILL_EVERY === 0 ? 'reset' : undefined))
  const caller = async () => {
    while (left-- > 0) {
      for (;;) {
        try {
          await opened.send('INCR', key)
          acknowledged++
          break
        } catch {
          await pause(5)
        }
      }
    }
  }
  try {
    await Promise.all(Array.from({ length: IN_FLIGHT }, caller))
    stage.breakBy(undefined)
    return { acknowledged, executed: Number(await direct.send('GET', key)) }
  } finally {
    stage.breakBy(undefined)
    opened.close()
    direct.close()
  }
}
