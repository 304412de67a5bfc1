import type { SeenItems } from '../../core/seen-items.ts'
import type { OperationStore } from '../../core/store.ts'
import type { Shard } from './shard.ts'
import type { ShardLayout } from './shard-layout.ts'

/** What is asked of one shard about some digests, and answered for each of them. */
type AskSome = (seen: SeenItems, digests: readonly string[]) => Promise<readonly boolean[]>

/**
 * Remembers each item on its home. While a layout changes it is marked on every home it may have, always in the order of their
 * names: whoever loses on one marks no further, so of two processes with different layouts only one wins on all of them.
 *
 * Nothing where a shard cannot remember items.
 */
export function shardedSeen(layout: ShardLayout): Pick<OperationStore, 'seen'> {
  const { shards } = layout
  if (shards.some(({ store }) => store.seen === undefined)) return {}

  /** Asks the homes of all digests, one after the other, where the answer so far makes that worth while. */
  const throughHomes = async (
    digests: readonly string[],
    ask: AskSome,
    rule: { readonly begin: boolean; readonly goOnAfter: (answer: boolean) => boolean },
  ): Promise<readonly boolean[]> => {
    const homes = digests.map((digest) => [...layout.homesOf(digest)].sort(byName))
    const answers = digests.map(() => rule.begin)
    const open = new Set(digests.keys())
    for (let round = 0; open.size > 0; round++) {
      const groups = new Map<Shard, number[]>()
      for (const place of open) {
        const home = homes[place]?.[round]
        if (home === undefined) open.delete(place)
        else groups.set(home, [...(groups.get(home) ?? []), place])
      }
      await Promise.all(
        [...groups].map(async ([home, places]) => {
          const some = places.map((place) => digests[place] as string)
          const told = await home.call(({ seen }) => ask(seen as SeenItems, some))
          places.forEach((place, at) => {
            const answer = told[at] === true
            if (answer !== rule.begin) answers[place] = answer
            if (!rule.goOnAfter(answer)) open.delete(place)
          })
        }),
      )
    }
    return answers
  }

  return {
    seen: {
      mark: (request) =>
        throughHomes(request.digests, (seen, digests) => seen.mark({ ...request, digests }), {
          begin: true,
          goOnAfter: (first) => first,
        }),
      forget: (digests) =>
        throughHomes(digests, (seen, some) => seen.forget(some), { begin: false, goOnAfter: () => true }),
      async purge(limit) {
        let purged = 0
        for (const shard of shards) {
          if (purged >= limit) break
          purged += await shard.call(({ seen }) => (seen as SeenItems).purge(limit - purged))
        }
        return purged
      },
    },
  }
}

function byName(a: Shard, b: Shard): number {
  return a.name < b.name ? -1 : 1
}
