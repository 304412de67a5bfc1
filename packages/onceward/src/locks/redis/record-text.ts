import type { LockMode } from '../lock-backend.ts'
import type { LockRecord } from '../lock-record.ts'

/** A list in the JSON of Lua, which writes an empty one as an object. */
type List<T> = readonly T[] | Readonly<Record<string, never>>

type HolderList = readonly [
  token: string,
  mode: string,
  fence: string,
  fences: number,
  until: number,
  owner: string,
  meta: string | false,
]
type PlaceList = readonly [token: string, mode: string, permits: number, until: number, ...unknown[]]
type ForcedList = readonly [at: number, by: string, reason: string, fence: string]
type RecordList = readonly [
  fence: string,
  holders: List<HolderList>,
  queue: List<PlaceList>,
  mark: readonly [text: string, until: number] | false,
  forced: List<ForcedList>,
]

/** Reads a record as `record-lua.ts` writes it. @throws anything for a text that is none. */
export function readRecord(text: string): LockRecord {
  if (!text.startsWith('L1')) throw new Error('not the record of a lock')
  const [fence, holders, queue, mark, forced] = JSON.parse(text.slice(2)) as RecordList
  if (!Number.isFinite(Number(fence))) throw new Error('not the fence of a lock')
  return {
    fence: Number(fence),
    holders: listed(holders).map(([token, mode, first, fences, until, owner, meta]) => ({
      token,
      mode: modeOf(mode),
      fence: Number(first),
      fences,
      until,
      owner,
      ...(meta === false ? {} : { meta }),
    })),
    queue: listed(queue).map(([token, mode, permits, until]) => ({
      token,
      mode: modeOf(mode),
      permits: permits === 0 ? Infinity : permits,
      until,
    })),
    ...(mark === false ? {} : { mark: { text: mark[0], until: mark[1] } }),
    forced: listed(forced).map(([at, by, reason, of]) => ({ at, by, reason, fence: Number(of) })),
  }
}

/** How a mode is written. */
export function writeMode(mode: LockMode): 'x' | 's' {
  return mode === 'exclusive' ? 'x' : 's'
}

/** The mode that is written so. */
export function modeOf(written: string): LockMode {
  return written === 'x' ? 'exclusive' : 'shared'
}

function listed<T>(list: List<T>): readonly T[] {
  return Array.isArray(list) ? (list as readonly T[]) : []
}
