import { slotOf } from './key-slot.ts'

/**
 * Hash tags whose slots lie evenly over the 16,384 slots of a cluster, one near the middle of each 16th, so that any
 * number of nodes gets about the same number of them. The nearest of two characters each. Keys that share a tag can be
 * part of one call; the number of tags is the most nodes that can share the work.
 */
export const HASH_TAGS: readonly string[] = Object.freeze(
  '18 5x dj 3r d2 pv uh iy ly h9 uv q6 9s 5f dt ha'.split(' '),
)

/** The tag of a text: always the same, and about as many texts for each. */
export function hashTagOf(text: string): string {
  return HASH_TAGS[slotOf(text) % HASH_TAGS.length] as string
}

/** The places of keys that can be part of one call: at most `most`, and in a cluster only those with one tag. */
export function callGroups(
  keys: readonly string[],
  { cluster, most }: { readonly cluster: boolean; readonly most: number },
): readonly (readonly number[])[] {
  const groups: number[][] = []
  const open = new Map<string, number[]>()
  for (const [place, key] of keys.entries()) {
    const tag = cluster ? hashTagOf(key) : ''
    let group = open.get(tag)
    if (group === undefined || group.length >= most) {
      group = []
      groups.push(group)
      open.set(tag, group)
    }
    group.push(place)
  }
  return groups
}
