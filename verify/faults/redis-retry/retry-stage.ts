import type { Target } from '../harness/trial-kind.ts'
import { testServers } from '../test-servers.ts'
import { type BreakagePlan, startBreakingProxy } from './breaking-proxy.ts'
import type { Reach, Topology } from './retry-clients.ts'

/** The servers of one lane, each behind a proxy. */
export interface RetryStage {
  readonly version: string
  /** By way of the proxies. */
  readonly broken: readonly Reach[]
  /** Past them. */
  readonly direct: readonly Reach[]
  /** What the proxies do from now on. */
  breakBy(plan: BreakagePlan | undefined): void
  flushScripts(): Promise<void>
  /** SIGKILL, and started again on the same data. */
  restart(place: number): Promise<void>
  stop(): Promise<void>
}

/** Starts the servers, which write each command to the disk before they answer. */
export async function startRetryStage(topology: Topology, silentMs: () => number): Promise<RetryStage> {
  const { startRedis, startRedisCluster } = await testServers()
  const durable = { save: '""', appendonly: 'yes', appendfsync: 'always' }
  const cluster = topology === 'cluster' ? await startRedisCluster({ config: durable }) : undefined
  const nodes = cluster?.nodes ?? [await startRedis({ persistence: 'aof' })]
  let plan: BreakagePlan | undefined
  const proxies = await Promise.all(
    nodes.map((node) => startBreakingProxy(node, (request) => plan?.(request), silentMs)),
  )
  const reach = (by: readonly Target[]): readonly Reach[] =>
    nodes.map((node, place) => ({ node, by: by[place] ?? node }))
  return {
    version: nodes[0]?.version ?? '',
    broken: reach(proxies),
    direct: reach(nodes),
    breakBy(next) {
      plan = next
    },
    async flushScripts() {
      await Promise.all(nodes.map((node) => node.command('SCRIPT', 'FLUSH')))
    },
    async restart(place) {
      await nodes[place % nodes.length]?.restart('SIGKILL')
    },
    async stop() {
      await Promise.all(proxies.map((proxy) => proxy.stop()))
      await (cluster?.stop() ?? nodes[0]?.stop())
    },
  }
}
