import type { RedisReply } from '../../drivers/redis/index.ts'
import type { ForcedRelease, HolderView, LockView } from '../lock-backend.ts'
import { MAX_FORCED } from '../lock-record.ts'

/** What one server knows of a key. */
export interface Sight {
  readonly holder?: HolderView & { readonly token: string }
  readonly forced: readonly (ForcedRelease & { readonly id: string })[]
}

type HolderList = readonly [
  token: string,
  attempt: string,
  remainingMs: number,
  owner: string,
  meta: string | false,
]
type ForcedList = readonly [at: number, by: string, reason: string, id: string]

/** Reads the answer of a server. The JSON of Lua writes an empty list as an object. */
export function readSight([text]: readonly RedisReply[]): Sight {
  const [holder, forced] = JSON.parse(String(text)) as readonly [
    HolderList | false,
    readonly ForcedList[] | Readonly<Record<string, never>>,
  ]
  const listed = Array.isArray(forced) ? (forced as readonly ForcedList[]) : []
  const sight = { forced: listed.map(([at, by, reason, id]) => ({ at, by, reason, id })) }
  if (holder === false) return sight
  const [token, , remainingMs, owner, meta] = holder
  return {
    ...sight,
    holder: { token, owner, mode: 'exclusive', remainingMs, ...(meta === false ? {} : { meta }) },
  }
}

/**
 * Whether enough servers say the same of who holds the key that the others cannot change it. A forced release counts where
 * most servers know of it: then all are heard.
 */
export function isAgreed(sights: readonly Sight[], quorum: number): boolean {
  if (sights.some(({ forced }) => forced.length > 0)) return false
  const names = sights.map(({ holder }) => holder?.token)
  return names.some((name) => names.filter((other) => other === name).length >= quorum)
}

/** What people see: a holder is whoever has the key on most servers, for as long as that lasts. */
export function agreedView(key: string, sights: readonly Sight[], quorum: number): LockView | undefined {
  const held = sights.flatMap(({ holder }) => holder ?? [])
  const holders = grouped(held, ({ token }) => token).flatMap((same): HolderView[] => {
    const remainingMs = same.map((one) => one.remainingMs).sort((one, other) => other - one)[quorum - 1]
    if (remainingMs === undefined || same[0] === undefined) return []
    const { token: _, ...shown } = same[0]
    return [{ ...shown, remainingMs }]
  })
  const releases = sights.flatMap((sight) => sight.forced)
  const forced = grouped(releases, ({ id }) => id)
    .flatMap((same) => (same.length >= quorum ? same.slice(0, 1) : []))
    .map(({ at, by, reason }) => ({ at, by, reason }))
    .sort((one, other) => one.at - other.at)
  if (holders.length === 0 && forced.length === 0) return undefined
  return { key, holders, waiting: 0, forced: forced.slice(-MAX_FORCED) }
}

function grouped<T>(list: readonly T[], idOf: (one: T) => string): readonly (readonly T[])[] {
  const groups = new Map<string, T[]>()
  for (const one of list) {
    const id = idOf(one)
    groups.set(id, [...(groups.get(id) ?? []), one])
  }
  return [...groups.values()]
}
