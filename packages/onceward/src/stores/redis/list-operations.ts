import {
  checkedLimit,
  type ListPosition,
  MAX_PAGE,
  matches,
  parseCursor,
  toCursor,
} from '../../core/catalog-query.ts'
import type { OperationRecord, OperationState } from '../../core/operation.ts'
import type { ListPage, ListQuery } from '../../core/store.ts'
import { KIND } from './index-lua.ts'
import type { Bucket } from './key-layout.ts'
import { readIndex, type StoreContext, textOf } from './store-context.ts'
import { getItem } from './transition-items.ts'

/** The kinds of the index that a state may have, where few records are in it. */
const FEW: Readonly<Partial<Record<OperationState, readonly number[]>>> = {
  running: [1, 3],
  held: [4],
  released: [2],
}

/** How many entries of the index are read at a time. */
const RANGE = 4000

/**
 * Reads one page, newest first: the buckets are walked side by side and merged by the time of creation.
 *
 * Limit: listing by scope, key prefix or age reads every record of the chosen state until the page is full.
 */
export async function listOperations(context: StoreContext, query: ListQuery): Promise<ListPage> {
  const limit = checkedLimit(query.limit)
  const after = query.cursor === undefined ? undefined : parseCursor(query.cursor)
  if (query.state !== undefined && !['running', 'done', 'held', 'released'].includes(query.state)) {
    throw new TypeError(`state must be running, done, held or released, not ${JSON.stringify(query.state)}`)
  }
  const few = query.state && FEW[query.state]
  // The age is looked at by the walk, on the server's clock.
  const { olderThanMs = Number.MIN_SAFE_INTEGER, ...filter } = query
  const positions = few
    ? await sorted(context, few, olderThanMs, after)
    : merged(context, olderThanMs, after, limit)
  const found: OperationRecord[] = []
  let chunk: ListPosition[] = []
  const readChunk = async () => {
    const records = await Promise.all(chunk.map(({ digest }) => context.batches.submit(getItem(digest))))
    chunk = []
    for (const record of records) {
      if (record && matches(record, filter, 0)) found.push(record)
    }
  }
  for await (const position of positions) {
    chunk.push(position)
    if (chunk.length > Math.min(limit, MAX_PAGE / 4)) await readChunk()
    if (found.length > limit) break
  }
  if (found.length <= limit) await readChunk()
  const records = found.slice(0, limit)
  const last = records.at(-1)
  return found.length > limit && last
    ? { records, cursor: toCursor({ createdAt: last.createdAt, digest: last.id.digest }) }
    : { records }
}

/** A record that the index names, and how long ago it was created, in ms. */
export interface Member extends ListPosition {
  readonly ageMs: number
}

/** Every member of some kinds of the index, of all buckets. */
export async function membersOf(context: StoreContext, kinds: readonly number[]): Promise<readonly Member[]> {
  const all = await Promise.all(context.layout.buckets.map((bucket) => membersIn(context, bucket, kinds)))
  return all.flat()
}

async function membersIn(
  context: StoreContext,
  bucket: Bucket,
  kinds: readonly number[],
): Promise<readonly Member[]> {
  const times = new Map<string, number>()
  let now = 0
  for (const kind of kinds) {
    let from = String(kind * KIND)
    for (;;) {
      const reply = await readIndex(context, bucket, 'range', from, kind * KIND + KIND - 1, RANGE)
      const before = times.size
      now = Number(reply[0])
      for (let index = 1; index + 1 < reply.length; index += 2) {
        times.set(textOf(reply[index]), Number(textOf(reply[index + 1])))
      }
      // The next part begins with the last score of this one: members may share it.
      if (reply.length < 2 * RANGE || times.size === before) break
      from = textOf(reply.at(-1))
    }
  }
  return [...times].map(([digest, createdAt]) => ({ digest, createdAt, ageMs: now - createdAt }))
}

async function sorted(
  context: StoreContext,
  kinds: readonly number[],
  olderThanMs: number,
  after: ListPosition | undefined,
): Promise<readonly ListPosition[]> {
  const members = await membersOf(context, kinds)
  return members
    .filter((one) => one.ageMs >= olderThanMs && (after === undefined || isAfter(one, after)))
    .sort((a, b) => (isAfter(a, b) ? 1 : -1))
}

/** Whether `one` comes after `other` in a listing. */
function isAfter(one: ListPosition, other: ListPosition): boolean {
  return one.createdAt < other.createdAt || (one.createdAt === other.createdAt && one.digest < other.digest)
}

/** What is left of a bucket's walk. */
interface Walk {
  readonly bucket: Bucket
  ahead: ListPosition[]
  last: ListPosition | undefined
  ended: boolean
}

async function* merged(
  context: StoreContext,
  olderThanMs: number,
  after: ListPosition | undefined,
  limit: number,
): AsyncGenerator<ListPosition> {
  const most = Math.max(16, Math.ceil((limit * 2) / context.layout.buckets.length))
  const walks = context.layout.buckets.map(
    (bucket): Walk => ({ bucket, ahead: [], last: after, ended: false }),
  )
  for (;;) {
    await Promise.all(walks.map((walk) => goOn(context, walk, olderThanMs, most)))
    let next: Walk | undefined
    // Until one of the buckets has to be read again.
    while (walks.every((walk) => walk.ended || walk.ahead.length > 0)) {
      next = undefined
      for (const walk of walks) {
        const [head] = walk.ahead
        if (head && (next?.ahead[0] === undefined || isAfter(next.ahead[0], head))) next = walk
      }
      const position = next?.ahead.shift()
      if (position === undefined) return
      yield position
    }
  }
}

async function goOn(context: StoreContext, walk: Walk, olderThanMs: number, most: number): Promise<void> {
  if (walk.ended || walk.ahead.length > 0) return
  const { createdAt = Number.MAX_SAFE_INTEGER, digest = '' } = walk.last ?? {}
  const reply = await readIndex(context, walk.bucket, 'walk', createdAt, digest, olderThanMs, most)
  for (let index = 1; index + 1 < reply.length; index += 2) {
    walk.ahead.push({ digest: textOf(reply[index]), createdAt: Number(textOf(reply[index + 1])) })
  }
  walk.last = walk.ahead.at(-1) ?? walk.last
  walk.ended = walk.ahead.length < most
}
