import { type EtcdClient, type EtcdEntry, failure, get } from '../../drivers/etcd/index.ts'
import type { AcquireRequest, ForcedRelease, LockMode } from '../lock-backend.ts'
import { fits } from '../lock-transitions.ts'
import { type LockPaths, tokenIn } from './lock-paths.ts'

/** What etcd holds of one lock, at one revision. */
export interface LockState {
  readonly revision: number
  /** In the order of their grants. */
  readonly holders: readonly HeldEntry[]
  /** The first one first. */
  readonly queue: readonly PlaceEntry[]
  readonly mark?: string
  readonly forced: readonly ForcedRelease[]
}

/** An entry that goes with a lease. */
export interface LeasedEntry {
  readonly path: string
  readonly token: string
  readonly lease: string
  /** Of the lease, as asked for. */
  readonly seconds: number
  readonly createRevision: number
  readonly modRevision: number
}

/** Who holds the lock. */
export interface HeldEntry extends LeasedEntry, HolderFacts {
  readonly mode: LockMode
  readonly fence: number
}

/** What is written of a holder. */
export interface HolderFacts {
  readonly owner: string
  readonly meta?: string
  readonly fences: number
  readonly seconds: number
  /** Of a grant that has changed hands: what it was given first. */
  readonly fence?: number
}

/** Who waits for it. */
export interface PlaceEntry extends LeasedEntry {
  readonly mode: LockMode
}

/** How many fences there are to a revision. */
export const FENCES_PER_REVISION = 1024

/** The first fence of the grant that a revision made. @throws `STORE_MISCONFIGURED` beyond 2^53. */
export function fenceOf(revision: number, where: string): number {
  const fence = revision * FENCES_PER_REVISION
  if (Number.isSafeInteger(fence + FENCES_PER_REVISION)) return fence
  throw failure(
    'STORE_MISCONFIGURED',
    `${where} is at revision ${revision}, beyond 2^43; use a fresh cluster`,
  )
}

/** Reads everything about a lock. */
export async function readState(etcd: EtcdClient, paths: LockPaths): Promise<LockState> {
  const reply = await etcd.txn({ steps: [get(paths.all)] })
  return stateOf(etcd.where, paths, reply?.entries[0] ?? [], reply?.revision ?? 0)
}

/** Makes sense of the entries of a lock. @throws `STORE_CORRUPT` for what is not ours. */
export function stateOf(
  where: string,
  paths: LockPaths,
  entries: readonly EtcdEntry[],
  revision: number,
): LockState {
  const holders: HeldEntry[] = []
  const queue: PlaceEntry[] = []
  let forced: readonly ForcedRelease[] = []
  let mark: string | undefined
  for (const entry of entries) {
    if (entry.key.startsWith(paths.held)) holders.push(heldEntry(where, paths, entry))
    else if (entry.key.startsWith(paths.waiting)) queue.push(placeEntry(where, entry))
    else if (entry.key === paths.forced) forced = read<readonly ForcedRelease[]>(where, entry)
    else if (entry.key === paths.mark) mark = entry.value
  }
  // A grant that has changed hands keeps its rank.
  holders.sort((one, other) => one.fence - other.fence)
  return { revision, holders, queue, forced, ...(mark === undefined ? {} : { mark }) }
}

/** What is written of a place. */
export function placeText(mode: LockMode, seconds: number): string {
  return JSON.stringify({ mode, seconds })
}

/** Reads one holder. */
export function heldEntry(where: string, paths: LockPaths, entry: EtcdEntry): HeldEntry {
  const facts = read<HolderFacts>(where, entry)
  return {
    ...leased(where, entry, facts.seconds),
    owner: facts.owner,
    fences: facts.fences,
    mode: entry.key.startsWith(paths.heldIn('exclusive')) ? 'exclusive' : 'shared',
    fence: facts.fence ?? fenceOf(entry.createRevision, where),
    ...(facts.meta === undefined ? {} : { meta: facts.meta }),
  }
}

/** What stands in the way of a request: holders, or those who came before; nothing when it can be granted. */
export function inTheWay(
  { holders, queue }: LockState,
  request: Pick<AcquireRequest, 'token' | 'mode' | 'permits' | 'overtake'>,
): readonly LeasedEntry[] {
  const { token, overtake = false } = request
  if (!fits(holders, request)) return holders
  if (overtake) return []
  const at = queue.findIndex((place) => place.token === token)
  return at < 0 ? queue : queue.slice(0, at)
}

function placeEntry(where: string, entry: EtcdEntry): PlaceEntry {
  const { mode, seconds } = read<{ mode: LockMode; seconds: number }>(where, entry)
  return { ...leased(where, entry, seconds), mode }
}

function leased(where: string, entry: EtcdEntry, seconds: number): LeasedEntry {
  const { key: path, createRevision, modRevision, lease } = entry
  if (lease === undefined) throw notOurs(where, entry)
  return { path, token: tokenIn(path), lease, seconds, createRevision, modRevision }
}

function read<T extends object>(where: string, entry: EtcdEntry): T {
  try {
    const value: unknown = JSON.parse(entry.value)
    if (typeof value === 'object' && value !== null) return value as T
  } catch (error) {
    throw notOurs(where, entry, error)
  }
  throw notOurs(where, entry)
}

function notOurs(where: string, { key }: EtcdEntry, cause?: unknown): Error {
  const mend = 'something else has written under our prefix; give the locks a prefix of their own'
  return failure(
    'STORE_CORRUPT',
    `${where} holds an entry at ${key.replace(/[^/]+$/, '…')} that is not ours: ${mend}`,
    cause,
  )
}
