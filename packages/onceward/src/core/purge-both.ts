import { checkedLimit, MAX_PAGE } from './catalog-query.ts'
import type { SeenItems } from './seen-items.ts'

/** Makes the `purge` of a store that remembers operations and items: operations first, `limit` (default 1000) over both. */
export function purgeBoth(
  operations: (limit: number) => Promise<number>,
  seen: SeenItems,
): (limit?: number) => Promise<number> {
  return async (limit) => {
    const most = checkedLimit(limit ?? MAX_PAGE)
    const purged = await operations(most)
    return purged < most ? purged + (await seen.purge(most - purged)) : purged
  }
}
