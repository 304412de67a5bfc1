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
  const members = new Map<string, Member>()
  for (const kind of kinds) {
    const from = new Map<Bucket, string>()
    let buckets = context.layout.buckets
    while (buckets.length > 0) {
      const before = members.size
      const answers = await readIndex(context, buckets, {
        what: 'range',
        for: [RANGE],
        each: (bucket) => [from.get(bucket) ?? kind * KIND, kind * KIND + KIND - 1],
      })
      for (const { bucket, now, entries } of answers) {
        for (let index = 0; index + 1 < entries.length; index += 2) {
          const digest = textOf(entries[index])
          const createdAt = Number(textOf(entries[index + 1]))
          members.set(digest, { digest, createdAt, ageMs: now - createdAt })
        }
        // The next part begins with the last score of this one: members may share it.
        from.set(bucket, textOf(entries.at(-1)))
      }
      const more = answers.filter(({ entries }) => entries.length > 2 * RANGE).map(({ bucket }) => bucket)
      buckets = members.size > before ? more : []
    }
  }
  return [...members.values()]
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
    await goOn(context, walks, olderThanMs, most)
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

/** Reads on in every walk that has nothing ahead. */
async function goOn(
  context: StoreContext,
  walks: readonly Walk[],
  olderThanMs: number,
  most: number,
): Promise<void> {
  const short = new Map(
    walks.filter((walk) => !walk.ended && walk.ahead.length === 0).map((walk) => [walk.bucket, walk]),
  )
  const answers = await readIndex(context, [...short.keys()], {
    what: 'walk',
    for: [olderThanMs, most],
    each: (bucket) => {
      const { createdAt = Number.MAX_SAFE_INTEGER, digest = '' } = short.get(bucket)?.last ?? {}
      return [createdAt, digest]
    },
  })
  for (const { bucket, entries } of answers) {
    const walk = short.get(bucket)
    if (walk === undefined) continue
    for (let index = 0; index + 1 < entries.length; index += 2) {
      walk.ahead.push({ digest: textOf(entries[index]), createdAt: Number(textOf(entries[index + 1])) })
    }
    walk.last = walk.ahead.at(-1) ?? walk.last
    walk.ended = walk.ahead.length < most
  }
}
