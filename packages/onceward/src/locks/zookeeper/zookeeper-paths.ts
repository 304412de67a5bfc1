import type { AcquireRequest, LockMode } from '../lock-backend.ts'

/** Where the nodes of one lock are. */
export interface ZookeeperPaths {
  readonly lock: string
  readonly queue: string
  readonly shared: string
  readonly exclusive: string
  holder(token: string): string
  /** The node that keeps others from holding the lock in a way that excludes this one. `slot` is among the permits. */
  guard(request: Pick<AcquireRequest, 'mode' | 'permits' | 'token'>, slot: number): string
  /** What a place begins with; ZooKeeper adds a number. */
  place(mode: LockMode, token: string): string
}

/**
 * The layout below a prefix:
 *
 * ```
 * <prefix>/clock             written to learn the time of the leader
 * <prefix>/lock/<key>        mark and forced releases; goes when nobody holds or waits and it never had any
 *   h-<token>                a holder, ephemeral; the transaction that created it is the fence
 *   x                        beside the one who holds it alone, ephemeral
 *   s/<slot>, s/r-<token>    beside each who holds it with others, ephemeral
 *   q/<mode>-<token>-<n>     a place, ephemeral; ZooKeeper gives the numbers
 * ```
 *
 * No two exclude each other by a version: `x` cannot be created twice, `s` and `q` cannot be removed while something is in
 * them, and steps that do this and undo it prove that it could be done, in the transaction that grants.
 */
export function zookeeperPaths(prefix: string, key: string): ZookeeperPaths {
  const lock = `${prefix}/lock/${Buffer.from(key, 'utf8').toString('base64url')}`
  return {
    lock,
    queue: `${lock}/q`,
    shared: `${lock}/s`,
    exclusive: `${lock}/x`,
    holder: (token) => `${lock}/${holderName(token)}`,
    guard({ mode, permits, token }, slot) {
      if (mode === 'exclusive') return `${lock}/x`
      return `${lock}/s/${permits === Infinity ? `r-${nameOf(token)}` : slot}`
    },
    place: (mode, token) => `${lock}/q/${mode === 'exclusive' ? 'x' : 's'}-${nameOf(token)}-`,
  }
}

/** Reads the name of a place. */
export function placeIn(name: string): { token: string; mode: LockMode; order: number } | undefined {
  const [, mode, token, order] = /^([xs])-(.+)-(-?\d{9,})$/.exec(name) ?? []
  if (token === undefined) return undefined
  return {
    token: decodeURIComponent(token),
    mode: mode === 'x' ? 'exclusive' : 'shared',
    order: Number(order),
  }
}

/** Reads the name of a holder. */
export function holderIn(name: string): string | undefined {
  return name.startsWith('h-') ? decodeURIComponent(name.slice(2)) : undefined
}

/** The name of a holder. */
export function holderName(token: string): string {
  return `h-${nameOf(token)}`
}

function nameOf(token: string): string {
  return encodeURIComponent(token)
}
