import type { OperationRecord } from './operation.ts'
import type { ListQuery } from './store.ts'

/** The fewest characters of a digest by which a record may be found. */
export const MIN_DIGEST_PREFIX = 6

/** The most rows one page may have. */
export const MAX_PAGE = 1000

/** Where a page ended: listings run from the newest creation to the oldest, equal times by digest. */
export interface ListPosition {
  readonly createdAt: number
  readonly digest: string
}

/** Checks a limit. Default 100. @throws `TypeError` unless it is a whole number from 1 to 1,000. */
export function checkedLimit(limit: number | undefined): number {
  const checked = limit ?? 100
  if (!Number.isInteger(checked) || checked < 1 || checked > MAX_PAGE) {
    throw new TypeError(`limit must be a whole number from 1 to ${MAX_PAGE}, not ${limit}`)
  }
  return checked
}

/** Tells whether a record is one that `query` asks for. */
export function matches(record: OperationRecord, query: ListQuery, now: number): boolean {
  return (
    (query.state === undefined || record.state === query.state) &&
    (query.scope === undefined || record.id.scope === query.scope) &&
    (query.keyPrefix === undefined || record.id.key.startsWith(query.keyPrefix)) &&
    (query.olderThanMs === undefined || record.createdAt <= now - query.olderThanMs)
  )
}

/** Writes a position as an opaque cursor. */
export function toCursor(position: ListPosition): string {
  return Buffer.from(`${position.createdAt}:${position.digest}`).toString('base64url')
}

/** Reads a cursor. @throws `TypeError` for one that no page has handed out. */
export function parseCursor(cursor: string): ListPosition {
  const match = /^(\d{1,16}(?:\.\d{1,12})?):([A-Za-z0-9_-]{43})$/.exec(
    Buffer.from(cursor, 'base64url').toString(),
  )
  if (match?.[1] === undefined || match[2] === undefined) {
    throw new TypeError('the cursor is not one that a page has handed out; start without one')
  }
  return { createdAt: Number(match[1]), digest: match[2] }
}
