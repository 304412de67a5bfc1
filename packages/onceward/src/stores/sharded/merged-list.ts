import { checkedLimit } from '../../core/catalog-query.ts'
import type { OperationRecord } from '../../core/operation.ts'
import type { ListPage, ListQuery } from '../../core/store.ts'
import type { Shard } from './shard.ts'
import { type Positions, parsePositions, writePositions } from './shard-cursor.ts'

/** One shard, where its next page begins (`null`: at the newest record), and that page. */
interface Stretch {
  readonly shard: Shard
  readonly from: string | null
  readonly page: ListPage
}

/**
 * One page over all shards, newest first.
 *
 * The cursor of a shard is known only where one of its pages ends. So each is asked for a whole page first, to see how
 * many of its records come before those of the others, and then again for just so many: the page that is answered is
 * made of whole pages of the shards, and no record is left out or told twice, whatever is written meanwhile.
 */
export async function mergedList(shards: readonly Shard[], query: ListQuery): Promise<ListPage> {
  const limit = checkedLimit(query.limit)
  const positions: Positions =
    query.cursor === undefined
      ? new Map(shards.map(({ name }) => [name, null]))
      : parsePositions(query.cursor, shards)
  const open = shards.flatMap((shard) => {
    const from = positions.get(shard.name)
    return from === undefined ? [] : [{ shard, from }]
  })
  const read = async (shard: Shard, from: string | null, most: number): Promise<Stretch> => {
    const { cursor: _, ...filters } = query
    const page = await shard.call((store) =>
      store.list({ ...filters, limit: most, ...(from === null ? {} : { cursor: from }) }),
    )
    return { shard, from, page }
  }
  const offered = await Promise.all(open.map(({ shard, from }) => read(shard, from, limit)))
  const taken = countTaken(offered, limit)
  const stretches = await Promise.all(
    offered.map((stretch, at) => {
      const count = taken[at] ?? 0
      if (count === stretch.page.records.length) return stretch
      return count === 0 ? undefined : read(stretch.shard, stretch.from, count)
    }),
  )

  const next = new Map<string, string | null>()
  for (const [at, stretch] of stretches.entries()) {
    const asked = open[at]
    if (stretch === undefined && asked) next.set(asked.shard.name, asked.from)
    else if (stretch?.page.cursor !== undefined) next.set(stretch.shard.name, stretch.page.cursor)
  }
  const records = [...merge(stretches.flatMap((stretch) => (stretch ? [stretch.page.records] : [])))]
  return next.size === 0
    ? { records: records.map(({ record }) => record) }
    : { records: records.map(({ record }) => record), cursor: writePositions(next) }
}

/** How many records of each page are among the newest `limit` of all. */
function countTaken(offered: readonly Stretch[], limit: number): readonly number[] {
  const taken = offered.map(() => 0)
  let left = limit
  for (const { list } of merge(offered.map(({ page }) => page.records))) {
    if (left-- === 0) break
    taken[list] = (taken[list] ?? 0) + 1
  }
  return taken
}

/** Merges lists that are each in order, the newest head first. The order inside a list is the shard's own. */
function* merge(
  lists: readonly (readonly OperationRecord[])[],
): Generator<{ readonly list: number; readonly record: OperationRecord }> {
  const at = lists.map(() => 0)
  for (;;) {
    let newest: { readonly list: number; readonly record: OperationRecord } | undefined
    for (const [list, records] of lists.entries()) {
      const record = records[at[list] ?? 0]
      if (record && (newest === undefined || record.createdAt > newest.record.createdAt))
        newest = { list, record }
    }
    if (newest === undefined) return
    at[newest.list] = (at[newest.list] ?? 0) + 1
    yield newest
  }
}
