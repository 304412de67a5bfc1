import { safeRedis } from 'onceward/redis-retry'
import { testServers } from '../test-servers.ts'
import { type ClientName, openRetryClient } from './retry-clients.ts'

/** What a failover did to operations that had been acknowledged before it. */
export interface FailoverLoss {
  readonly acknowledged: number
  /** Of these, not on the replica that took over. */
  readonly lost: number
  /** Executed twice when all of them were repeated under their names afterwards. */
  readonly duplicated: number
}

/** So many of the operations are sent after the replica has been cut off. */
const CUT_OFF = 200

/**
 * Cuts replication, goes on for a while, kills the primary and lets the replica take over; then repeats every operation that
 * was acknowledged under its name.
 */
export async function measureFailover(
  name: ClientName,
  operations: number,
  waits: boolean,
): Promise<FailoverLoss> {
  const { faultProxy, startRedis, startRedisReplica } = await testServers()
  const primary = await startRedis()
  const between = await faultProxy({ target: primary })
  const replica = await startRedisReplica({ ...primary, host: between.host, port: between.port })
  const wait = waits ? { wait: { replicas: 1, timeoutMs: 100 } } : {}
  const session = async (target: { readonly host: string; readonly port: number }, options: object) => {
    const opened = await openRetryClient(name, 'standalone', [{ node: target, by: target }], false)
    const redis = safeRedis(opened.client as Parameters<typeof safeRedis>[0], {
      deadlineMs: 2000,
      attemptTimeoutMs: 500,
      ...options,
    })
    const acknowledged: number[] = []
    return {
      acknowledged,
      async send(numbers: readonly number[]) {
        for (let from = 0; from < numbers.length; from += 100) {
          const calls = numbers.slice(from, from + 100).map(async (number) => {
            // A set would hide a second execution.
            await redis.exec('RPUSH', ['log', number], { opId: `op-${number}` })
            acknowledged.push(number)
          })
          await Promise.allSettled(calls)
        }
      },
      end: () => redis.close().finally(() => opened.close()),
    }
  }
  const numbers = Array.from({ length: operations }, (_, number) => number)
  try {
    const before = await session(primary, wait)
    await before.send(numbers.slice(0, operations - CUT_OFF))
    // What was sent until now has arrived.
    for (let held = -1; held < operations - CUT_OFF; ) held = Number(await replica.command('LLEN', 'log'))
    between.blackHole()
    await before.send(numbers.slice(operations - CUT_OFF))
    await primary.kill()
    await before.end()
    await replica.command('REPLICAOF', 'NO', 'ONE')
    const kept = new Set(
      ((await replica.command('LRANGE', 'log', '0', '-1')) as readonly unknown[]).map(Number),
    )
    const lost = before.acknowledged.filter((number) => !kept.has(number)).length
    const after = await session(replica, {})
    await after.send(before.acknowledged)
    await after.end()
    const held = ((await replica.command('LRANGE', 'log', '0', '-1')) as readonly unknown[]).map(Number)
    return { acknowledged: before.acknowledged.length, lost, duplicated: held.length - new Set(held).size }
  } finally {
    await between.stop()
    await replica.stop()
    await primary.stop()
  }
}
