import { OncewardError } from '../core/errors.ts'
import { refuseUnknown, wholeNumber, written } from '../core/known-fields.ts'

/** What a fenced write did. */
export type FencedWrite =
  /** It is written, and the resource refuses smaller fences from now on. */
  | 'written'
  /** A greater fence was there: another holder has come since. Nothing was written. */
  | 'stale'

/** What a resource knows of one of its things. */
export interface FencedState<Version> {
  /** The fence that it was written with last; absent where it never was with one. */
  readonly fence?: number
  /** What `putIf` compares: a version, an entity tag, a revision. */
  readonly version: Version
}

/** Anything that can be written under the condition that it has not changed: files, buckets, documents, objects. */
export interface FenceableResource<Value, Version> {
  /** Nothing for what is not there. */
  read(id: string): FencedState<Version> | undefined | Promise<FencedState<Version> | undefined>
  /**
   * Writes the value and keeps the fence with it, in one step, if the thing still has `version` (`undefined`: if it is
   * still not there). Answers whether it did.
   */
  putIf(
    id: string,
    value: Value,
    condition: { readonly fence: number; readonly version: Version | undefined },
  ): boolean | Promise<boolean>
}

/** A resource that refuses holders who come late. */
export interface Fenced<Value> {
  /** Writes unless a greater fence has written before. Two writes with one fence are both accepted. */
  write(id: string, value: Value, fence: number): Promise<FencedWrite>
}

/**
 * Makes a resource refuse smaller fences: by reading the fence that is there, and writing only if nothing has changed since.
 * What keeps its data in SQL or Redis does it in one step, with `fencedRow` and `fencedRedis`.
 *
 * Limit: it holds for writers that come this way. `putIf` has to be atomic where the data is.
 *
 * @param options.attempts - How often a write is tried while others change the thing. Default 20.
 * @throws `STORE_UNAVAILABLE` (effect `none`) when the attempts are used up; whatever the resource throws.
 * @example
 * const states = new Map<string, { fence: number; version: number; value: string }>()
 * const labels = fenced<string, number>({
 *   read: (id) => states.get(id),
 *   putIf(id, value, { fence, version }) {
 *     if (states.get(id)?.version !== version) return false
 *     states.set(id, { fence, version: (version ?? 0) + 1, value })
 *     return true
 *   },
 * })
 * await locks.using('label:7', async ({ fence }) => labels.write('7', 'fragile', fence))
 */
export function fenced<Value, Version>(
  resource: FenceableResource<Value, Version>,
  options: { readonly attempts?: number } = {},
): Fenced<Value> {
  refuseUnknown('fenced', options, ['attempts'])
  const attempts = wholeNumber('attempts', options.attempts ?? 20, 1)
  if (typeof resource?.read !== 'function' || typeof resource.putIf !== 'function') {
    throw new TypeError('fenced needs a resource with the methods read and putIf')
  }
  return {
    async write(id, value, given) {
      const fence = checkedFence(given)
      for (let attempt = 0; attempt < attempts; attempt++) {
        const found = await resource.read(id)
        if (found?.fence !== undefined && found.fence > fence) return 'stale'
        if (await resource.putIf(id, value, { fence, version: found?.version })) return 'written'
      }
      throw new OncewardError(
        'STORE_UNAVAILABLE',
        `"${id}" was changed by others ${attempts} times in a row; write it again`,
        { effect: 'none' },
      )
    },
  }
}

/** Checks a fence. @throws `TypeError` where there is none, as on a backend that cannot give any. */
export function checkedFence(fence: number | undefined): number {
  if (fence !== undefined && Number.isSafeInteger(fence) && fence > 0) return fence
  throw new TypeError(
    `a fence is the number that a lease has, not ${written(fence)}; the locks must be on a backend with fencing`,
  )
}
