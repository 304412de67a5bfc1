import { checkedLimit, type ListPosition, matches, parseCursor, toCursor } from '../../core/catalog-query.ts'
import type { OperationRecord, OperationState } from '../../core/operation.ts'
import type { ListPage, ListQuery } from '../../core/store.ts'
import { isExpired } from '../../core/transitions.ts'
import { COLUMNS, columnText, fromRow, type Row } from './record-row.ts'
import type { StoreContext } from './store-context.ts'

/** The most rows one statement walks over, so that a rare match in a large table does not hold up the event loop. */
const MAX_WALK = 4000

const ORDER = 'ORDER BY created_at DESC, digest'
const AFTER = 'created_at <= ? AND (created_at < ? OR digest > ?)'
const UNTIL = 'created_at >= ? AND (created_at > ? OR digest <= ?)'
const FILTERS = `(? IS NULL OR scope = ?) AND (? IS NULL OR substr(CAST(key AS BLOB), 1, ?) = ?)
  AND (expires_at IS NULL OR expires_at > ?)`

/** What one listing walks: everything by age, or the few of one state. The texts are fixed. */
const WALKS: Readonly<Record<OperationState | 'any', { readonly end: string; readonly rows: string }>> = {
  any: walk('TRUE'),
  done: walk("state = 'done'"),
  running: walk("state = 'running' AND state <> 'done'"),
  held: walk("state = 'held' AND state <> 'done'"),
  released: walk("state = 'released' AND state <> 'done'"),
}

function walk(condition: string): { readonly end: string; readonly rows: string } {
  const from = `FROM onceward_operations WHERE ${condition} AND ${AFTER}`
  return {
    end: `SELECT created_at, digest ${from} ${ORDER} LIMIT 1 OFFSET ${MAX_WALK - 1}`,
    rows: `SELECT ${COLUMNS} ${from} AND ${UNTIL} AND ${FILTERS} ${ORDER} LIMIT ?`,
  }
}

/** Where the oldest record would be, and beyond. */
const LAST: ListPosition = { createdAt: Number.MIN_SAFE_INTEGER, digest: '' }

/**
 * Reads one page. It walks the index in bounded stretches and lets other work run between them.
 *
 * Limit: listing by scope or key prefix looks at every record of the chosen state and age until the page is full.
 */
export async function listOperations(context: StoreContext, query: ListQuery): Promise<ListPage> {
  const { connection, clock } = context
  const now = clock.now()
  const limit = checkedLimit(query.limit)
  const { end, rows } = WALKS[query.state ?? 'any'] ?? unknownState(query.state)
  const filters = filterValues(query, now)
  const found: OperationRecord[] = []
  let from = startOf(query, now)
  for (;;) {
    const stretchEnd = connection.prepare(end).get(from.createdAt, from.createdAt, from.digest) as
      | { readonly created_at: number; readonly digest: string }
      | undefined
    const until = stretchEnd ? { createdAt: stretchEnd.created_at, digest: stretchEnd.digest } : LAST
    const page = connection
      .prepare(rows)
      .all(...bounds(from), ...bounds(until), ...filters, limit + 1 - found.length) as Row[]
    for (const row of page) {
      const record = fromRow(row, connection.path)
      // The columns narrow the search; what they cannot hold exactly is decided here.
      if (matches(record, query, now) && !isExpired(record, now)) found.push(record)
    }
    if (found.length > limit || !stretchEnd) break
    from = until
    await new Promise<void>((resolve) => setImmediate(resolve))
    if (context.isClosed()) break
  }
  const records = found.slice(0, limit)
  const last = records.at(-1)
  return found.length > limit && last
    ? { records, cursor: toCursor({ createdAt: last.createdAt, digest: last.id.digest }) }
    : { records }
}

function bounds({ createdAt, digest }: ListPosition): [number, number, string] {
  return [createdAt, createdAt, digest]
}

/** After the cursor, and no younger than asked for. */
function startOf(query: ListQuery, now: number): ListPosition {
  const youngest = query.olderThanMs === undefined ? Number.MAX_SAFE_INTEGER : now - query.olderThanMs
  const start = { createdAt: youngest, digest: '' }
  if (query.cursor === undefined) return start
  const cursor = parseCursor(query.cursor)
  return cursor.createdAt <= youngest ? cursor : start
}

function filterValues({ scope, keyPrefix }: ListQuery, now: number): (string | number | Uint8Array | null)[] {
  const inScope = scope === undefined ? null : columnText(scope)
  const prefix = keyPrefix === undefined ? null : Buffer.from(columnText(keyPrefix))
  return [inScope, inScope, prefix, prefix?.length ?? 0, prefix, now]
}

function unknownState(state: unknown): never {
  throw new TypeError(`state must be running, done, held or released, not ${JSON.stringify(state)}`)
}
