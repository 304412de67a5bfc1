import { checkedLimit, MAX_PAGE } from '../../core/catalog-query.ts'
import type { OperationRecord } from '../../core/operation.ts'
import type { AuditEntry, Finding, OperationCatalog, StoreStats } from '../../core/store.ts'
import { layoutFindings } from './layout-findings.ts'
import { mergedList } from './merged-list.ts'
import { byRank } from './record-rank.ts'
import type { Shard, ShardStore } from './shard.ts'
import type { ShardLayout } from './shard-layout.ts'

/** The catalogs of all shards as one. Where a shard fails, so does what needs all of them; the message names it. */
export function shardedCatalog(layout: ShardLayout): OperationCatalog {
  const { shards } = layout
  const all = <T>(ask: (store: ShardStore) => Promise<T>): Promise<readonly T[]> =>
    Promise.all(shards.map((shard) => shard.call(ask)))
  return {
    list: (query) => mergedList(shards, query),
    async find(digest) {
      const found = (await all((store) => store.find(digest))).filter((record) => record !== undefined)
      const digests = new Set(found.map((record: OperationRecord) => record.id.digest))
      return digests.size > 1 ? undefined : found.sort(byRank)[0]
    },
    sweep: (limit) => inTurn(shards, limit, (store, most) => store.sweep(most)),
    purge: (limit) => inTurn(shards, limit, (store, most) => store.purge(most)),
    stats: async () => (await all((store) => store.stats())).reduce(sum),
    async audit(query = {}) {
      const limit = checkedLimit(query.limit)
      const lines: AuditEntry[] = (await all((store) => store.audit(query))).flat()
      return lines.sort((a, b) => b.at - a.at).slice(0, limit)
    },
    async migrate() {
      const applied = await Promise.all(
        shards.map(async (shard) => {
          const names = await shard.call((store) => store.migrate())
          return names.map((name) => `${shard.name}: ${name}`)
        }),
      )
      return applied.flat()
    },
    async doctor() {
      const found = await Promise.all(shards.map(findingsOf))
      return [...found.flat(), ...(await layoutFindings(layout))]
    },
  }
}

/** Goes through the shards until `limit` are done. A shard that fails does not keep the others from their turn. */
async function inTurn(
  shards: readonly Shard[],
  limit: number | undefined,
  act: (store: ShardStore, most: number) => Promise<number>,
): Promise<number> {
  const most = checkedLimit(limit ?? MAX_PAGE)
  const failures: unknown[] = []
  let count = 0
  for (const shard of shards) {
    if (count >= most) break
    try {
      count += await shard.call((store) => act(store, most - count))
    } catch (error) {
      failures.push(error)
    }
  }
  if (failures.length > 0) throw failures[0]
  return count
}

function sum(a: StoreStats, b: StoreStats): StoreStats {
  return {
    running: a.running + b.running,
    done: a.done + b.done,
    held: a.held + b.held,
    released: a.released + b.released,
    oldestRunningMs: Math.max(a.oldestRunningMs, b.oldestRunningMs),
    oldestHeldMs: Math.max(a.oldestHeldMs, b.oldestHeldMs),
  }
}

/** What is wrong with one shard must not hide what is found on the others. */
async function findingsOf(shard: Shard): Promise<readonly Finding[]> {
  try {
    const findings = await shard.call((store) => store.doctor())
    return findings.map((one) => ({ ...one, message: `shard "${shard.name}": ${one.message}` }))
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    return [{ level: 'fail', check: 'shard', message }]
  }
}
