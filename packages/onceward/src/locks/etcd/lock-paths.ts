import type { LockMode } from '../lock-backend.ts'

/** Where the entries of one lock are. Paths that end in `/` mean everything below. */
export interface LockPaths {
  readonly all: string
  readonly held: string
  readonly waiting: string
  readonly mark: string
  readonly forced: string
  /** Of all who hold it in this mode. */
  heldIn(mode: LockMode): string
  holder(mode: LockMode, token: string): string
  place(token: string): string
}

/**
 * The layout below a prefix:
 *
 * ```
 * <prefix>/lock/<key>/held/x/<token>   the one who holds it alone     revision of its creation × 1024 = fence
 * <prefix>/lock/<key>/held/s/<token>   one who holds it beside others
 * <prefix>/lock/<key>/wait/<token>     a place; the order of creation is the order of the queue
 * <prefix>/lock/<key>/mark             what the last holder has left
 * <prefix>/lock/<key>/forced           forced releases
 * ```
 *
 * Each holder, place and mark goes with a lease of its own. Keys are base64url, so that a `/` in one means nothing.
 */
export function lockPaths(prefix: string, key: string): LockPaths {
  const all = `${prefix}/lock/${Buffer.from(key, 'utf8').toString('base64url')}/`
  const heldIn = (mode: LockMode) => `${all}held/${mode === 'exclusive' ? 'x' : 's'}/`
  return {
    all,
    held: `${all}held/`,
    waiting: `${all}wait/`,
    mark: `${all}mark`,
    forced: `${all}forced`,
    heldIn,
    holder: (mode, token) => `${heldIn(mode)}${encodeURIComponent(token)}`,
    place: (token) => `${all}wait/${encodeURIComponent(token)}`,
  }
}

/** The token that a path ends in. */
export function tokenIn(path: string): string {
  return decodeURIComponent(path.slice(path.lastIndexOf('/') + 1))
}
