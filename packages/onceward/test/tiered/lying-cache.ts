import type { KeptEntry, OperationCache } from '../../src/stores/tiered/index.ts'

/** How often, from 0 to 1, a cache does what it should not. */
export interface Lies {
  /** Answers that it has nothing. */
  readonly forgets: number
  /** Flips bits, cuts off, or sends other bytes. */
  readonly garbles: number
  /** Answers what belongs to another operation. */
  readonly mixesUp: number
  /** Answers what it once had, with any time left: whatever was overwritten, forgotten or is over. */
  readonly repeats: number
  readonly fails: number
  /** Never answers. */
  readonly hangs: number
  /** Answers with something that is not a list of entries. */
  readonly talksNonsense: number
  /** Wakes watchers of whom nobody has spoken. */
  readonly wakesAnyway: number
}

/** A cache that keeps to its contract. */
export const NO_LIES: Lies = {
  forgets: 0,
  garbles: 0,
  mixesUp: 0,
  repeats: 0,
  fails: 0,
  hangs: 0,
  talksNonsense: 0,
  wakesAnyway: 0,
}

/** A cache that misbehaves at random, by a generator of its own so that a run can be repeated. */
export function lyingCache(cache: OperationCache, lies: Lies, seed = 1): OperationCache {
  let state = seed
  const draw = () => {
    // Park–Miller: plain and repeatable.
    state = (state * 48_271) % 2_147_483_647
    return state / 2_147_483_647
  }
  const happens = (chance: number) => chance > 0 && draw() < chance
  const past = new Map<string, Uint8Array[]>()
  const trouble = async () => {
    if (happens(lies.fails)) throw new Error('the cache is out of order')
    if (happens(lies.hangs)) await new Promise(() => {})
  }
  const anyOf = <T>(list: readonly T[]): T | undefined => list[Math.floor(draw() * list.length)]
  const twisted = (digest: string, kept: KeptEntry | undefined): KeptEntry | undefined => {
    if (happens(lies.forgets)) return undefined
    const remainingMs = (kept?.remainingMs ?? 1000) * (0.5 + draw())
    if (happens(lies.mixesUp)) {
      const bytes = anyOf([...past.values()].flat())
      if (bytes) return { bytes, remainingMs }
    }
    if (happens(lies.repeats)) {
      const bytes = anyOf(past.get(digest) ?? [])
      if (bytes) return { bytes, remainingMs }
    }
    if (kept && happens(lies.garbles)) {
      const bytes = Uint8Array.from(kept.bytes.subarray(0, Math.floor(draw() * (kept.bytes.length + 1))))
      const at = Math.floor(draw() * bytes.length)
      if (bytes.length > 0) bytes[at] = (bytes[at] ?? 0) ^ (1 << Math.floor(draw() * 8))
      return { bytes, remainingMs }
    }
    return kept
  }
  return {
    async look(digests) {
      await trouble()
      if (happens(lies.talksNonsense)) return (draw() < 0.5 ? 'OK' : [{ bytes: 'text' }]) as never
      return (await cache.look(digests)).map((kept, index) => twisted(digests[index] ?? '', kept))
    },
    async keep(entries) {
      await trouble()
      for (const { digest, bytes } of entries) past.set(digest, [...(past.get(digest) ?? []), bytes])
      await cache.keep(entries)
    },
    async forget(digests) {
      await trouble()
      await cache.forget(digests)
    },
    async wake(digests) {
      await trouble()
      await cache.wake(digests)
    },
    async watch(digest, signal) {
      await trouble()
      if (happens(lies.wakesAnyway)) return
      await cache.watch(digest, signal)
    },
    close: () => cache.close(),
  }
}
