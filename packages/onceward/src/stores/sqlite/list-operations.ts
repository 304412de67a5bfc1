import { checkedLimit, matches, parseCursor, toCursor } from '../../core/catalog-query.ts'
import { nextTurn } from '../../core/next-turn.ts'
import type { OperationRecord, OperationState } from '../../core/operation.ts'
import type { ListPage, ListQuery } from '../../core/store.ts'
import { isExpired } from '../../core/transitions.ts'
import { COLUMNS, columnText, fromRow, type Row } from './record-row.ts'
import type { StoreContext } from './store-context.ts'

/** The most rows one statement walks over, so that a rare match in a large table does not hold up the event loop. */
const MAX_WALK = 4000

const FILTERS = `created_at <= ? AND (? IS NULL OR scope = ?)
  AND (? IS NULL OR substr(CAST(key AS BLOB), 1, ?) = ?) AND (expires_at IS NULL OR expires_at > ?)`

/** What a listing walks: every row, or the few of one state, by the index of what is not done. The texts are fixed. */
const WALKS: Readonly<Record<OperationState | 'any', { readonly end: string; readonly rows: string }>> = {
  any: walk('TRUE'),
  done: walk("state = 'done'"),
  running: walk("state = 'running' AND state <> 'done'"),
  held: walk("state = 'held' AND state <> 'done'"),
  released: walk("state = 'released' AND state <> 'done'"),
}

function walk(condition: string): { readonly end: string; readonly rows: string } {
  const scanned = condition.includes('<>') ? condition : 'TRUE'
  return {
    end: `SELECT id FROM onceward_operations WHERE ${scanned} AND id < ? ORDER BY id DESC LIMIT 1 OFFSET ${MAX_WALK - 1}`,
    rows: `SELECT id, ${COLUMNS} FROM onceward_operations WHERE ${condition} AND id < ? AND id >= ? AND ${FILTERS}
      ORDER BY id DESC LIMIT ?`,
  }
}

/**
 * Reads one page, from the newest row to the oldest. It walks in bounded stretches and lets other work run between them.
 *
 * Limit: listing by scope, key prefix or age looks at every record of the chosen state until the page is full.
 */
export async function listOperations(context: StoreContext, query: ListQuery): Promise<ListPage> {
  const { connection, clock } = context
  const now = clock.now()
  const limit = checkedLimit(query.limit)
  const { end, rows } = WALKS[query.state ?? 'any'] ?? unknownState(query.state)
  const filters = filterValues(query, now)
  const found: { readonly row: number; readonly record: OperationRecord }[] = []
  let before = query.cursor === undefined ? Number.MAX_SAFE_INTEGER : rowOf(query.cursor)
  for (;;) {
    const stretch = connection.prepare(end).get(before) as { readonly id: number } | undefined
    const from = stretch?.id ?? 0
    const page = connection.prepare(rows).all(before, from, ...filters, limit + 1 - found.length) as Row[]
    for (const row of page) {
      const record = fromRow(row, connection.path)
      // The columns narrow the search; what they cannot hold exactly is decided here.
      if (matches(record, query, now) && !isExpired(record, now))
        found.push({ row: Number(row['id']), record })
    }
    if (found.length > limit || from === 0) break
    before = from
    await nextTurn()
    if (context.isClosed()) break
  }
  const page = found.slice(0, limit)
  const records = page.map((one) => one.record)
  const last = page.at(-1)
  return found.length > limit && last ? { records, cursor: cursorAt(last.row, last.record) } : { records }
}

/** The row takes the place of the time in a cursor: rows are numbered in the order of creation. */
function cursorAt(row: number, { id }: OperationRecord): string {
  return toCursor({ createdAt: row, digest: id.digest })
}

function rowOf(cursor: string): number {
  return parseCursor(cursor).createdAt
}

function filterValues(query: ListQuery, now: number): (string | number | Uint8Array | null)[] {
  const { scope, keyPrefix, olderThanMs } = query
  const youngest = olderThanMs === undefined ? Number.MAX_SAFE_INTEGER : now - olderThanMs
  const inScope = scope === undefined ? null : columnText(scope)
  const prefix = keyPrefix === undefined ? null : Buffer.from(columnText(keyPrefix))
  return [youngest, inScope, inScope, prefix, prefix?.length ?? 0, prefix, now]
}

function unknownState(state: unknown): never {
  throw new TypeError(`state must be running, done, held or released, not ${JSON.stringify(state)}`)
}
