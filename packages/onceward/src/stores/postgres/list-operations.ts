import { checkedLimit, type ListPosition, matches, parseCursor, toCursor } from '../../core/catalog-query.ts'
import { refuseUnknown } from '../../core/known-fields.ts'
import type { OperationRecord, OperationState } from '../../core/operation.ts'
import type { ListPage, ListQuery } from '../../core/store.ts'
import { isExpired } from '../../core/transitions.ts'
import { NOW_MS, type PgStatement, type PgValue, plain } from '../../drivers/pg/index.ts'
import { columnText } from '../../drivers/sql/index.ts'
import { RECORD, readRecord } from './record-rows.ts'
import type { StoreContext } from './store-context.ts'

/** The most rows one statement walks over, so that a rare match in a large table does not keep it busy for long. */
const MAX_WALK = 5000

/** What a listing walks: all rows by their age, or the few of one state by the index of what is not done. */
const CONDITIONS: Readonly<Record<OperationState | 'any', string>> = {
  any: 'TRUE',
  done: "o.state = 'done'",
  running: "o.state = 'running' AND o.state <> 'done'",
  held: "o.state = 'held' AND o.state <> 'done'",
  released: "o.state = 'released' AND o.state <> 'done'",
}

/** Before every digest and after it, at one time. */
const NEWEST: ListPosition = { createdAt: Number.MAX_SAFE_INTEGER, digest: '~' }
const OLDEST: ListPosition = { createdAt: -1, digest: '' }

/** The end of a stretch, and the rows of it that may match. */
interface Walk {
  readonly end: PgStatement
  readonly rows: PgStatement
}

function walk(schema: string, condition: string): Walk {
  const table = `"${schema}".onceward_operations`
  const scanned = condition.includes('<>') ? condition : 'TRUE'
  const before = '(o.created_at, o.digest) < ($1::bigint, $2::text)'
  const order = 'ORDER BY o.created_at DESC, o.digest DESC'
  return {
    end: plain(
      `SELECT o.created_at::text AS created, o.digest AS digest FROM ${table} AS o
        WHERE ${scanned} AND ${before} ${order} OFFSET ${MAX_WALK - 1} LIMIT 1`,
      ['created', 'digest'],
    ),
    rows: plain(
      `SELECT (${NOW_MS})::text AS now, ${RECORD} AS found FROM ${table} AS o
        WHERE ${condition} AND ${before} AND (o.created_at, o.digest) >= ($3::bigint, $4::text)
          AND o.created_at <= ${NOW_MS} - $5::bigint
          AND ($6::text IS NULL OR o.scope = $6::text) AND ($7::text IS NULL OR starts_with(o.key, $7::text))
          AND (o.expires_at IS NULL OR o.expires_at > ${NOW_MS})
        ${order} LIMIT $8::bigint`,
      ['now', 'found'],
    ),
  }
}

/** Reads a cursor of this store, whose times are whole ms. */
function wholePosition(cursor: string): ListPosition {
  const position = parseCursor(cursor)
  if (Number.isSafeInteger(position.createdAt)) return position
  throw new TypeError('the cursor is not one that a page has handed out; start without one')
}

/**
 * Reads one page, from the newest record to the oldest, in bounded stretches.
 *
 * Limit: listing by scope, key prefix or age looks at every record of the chosen state until the page is full.
 */
export async function listOperations(context: StoreContext, query: ListQuery): Promise<ListPage> {
  refuseUnknown('list', query, ['state', 'scope', 'keyPrefix', 'olderThanMs', 'limit', 'cursor'])
  const limit = checkedLimit(query.limit)
  const condition = CONDITIONS[query.state ?? 'any'] ?? unknownState(query.state)
  const { end, rows } = walk(context.settings.schema, condition)
  const found: OperationRecord[] = []
  let before = query.cursor === undefined ? NEWEST : wholePosition(query.cursor)
  for (;;) {
    const stretch = await context.run(end, positionValues(before))
    const [created, digest] = stretch.rows[0] ?? []
    const from = digest === undefined ? OLDEST : { createdAt: Number(created), digest: digest ?? '' }
    const page = await context.run(rows, [
      ...positionValues(before),
      ...positionValues(from),
      ...filterValues(query),
      String(limit + 1 - found.length),
    ])
    for (const row of page.rows) {
      const now = Number(row[0])
      const record = readRecord(row[1] ?? '', context.driver.where)
      // The columns narrow the search; what they cannot hold exactly is decided here.
      if (matches(record, query, now) && !isExpired(record, now)) found.push(record)
    }
    if (found.length > limit) break
    const last = page.rows.length > limit ? page.rows.at(-1) : undefined
    if (last === undefined && from === OLDEST) break
    before = last === undefined ? from : positionOf(readRecord(last[1] ?? '', context.driver.where))
    if (context.isClosed()) break
  }
  const records = found.slice(0, limit)
  const last = records.at(-1)
  return found.length > limit && last ? { records, cursor: toCursor(positionOf(last)) } : { records }
}

function positionOf({ createdAt, id }: OperationRecord): ListPosition {
  return { createdAt, digest: id.digest }
}

function positionValues({ createdAt, digest }: ListPosition): PgValue[] {
  return [String(createdAt), digest]
}

function filterValues({ scope, keyPrefix, olderThanMs }: ListQuery): PgValue[] {
  return [
    String(Math.ceil(olderThanMs ?? 0)),
    scope === undefined ? null : columnText(scope),
    keyPrefix === undefined ? null : columnText(keyPrefix),
  ]
}

function unknownState(state: unknown): never {
  throw new TypeError(`state must be running, done, held or released, not ${JSON.stringify(state)}`)
}
