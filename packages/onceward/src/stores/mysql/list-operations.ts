import { checkedLimit, type ListPosition, matches, parseCursor, toCursor } from '../../core/catalog-query.ts'
import type { OperationRecord } from '../../core/operation.ts'
import type { ListPage, ListQuery } from '../../core/store.ts'
import { isExpired } from '../../core/transitions.ts'
import { ownStatement, READ_NOW } from '../../drivers/mysql/index.ts'
import { columnText, fitsColumn, type SqlValue } from '../../drivers/sql/index.ts'
import { WALK, WALK_OPEN } from './catalog-statements.ts'
import type { StoreContext } from './store-context.ts'

/** How many records the first statement looks at beyond those asked for, and how many each later one. */
const FIRST_STRETCH = 100
const NEXT_STRETCH = 4000

/** The most records whose bytes are fetched at once. */
const MAX_FETCH = 100

const NEWEST: ListPosition = { createdAt: Number.MAX_SAFE_INTEGER, digest: '' }
const STATES: readonly unknown[] = ['running', 'done', 'held', 'released']

/**
 * Reads one page, from the newest record to the oldest. Each statement looks at a bounded stretch.
 *
 * Limit: listing by scope, key prefix or age looks at every record of the chosen state until the page is full; so does
 * listing what is done or released.
 */
export async function listOperations(context: StoreContext, query: ListQuery): Promise<ListPage> {
  const limit = checkedLimit(query.limit)
  const { state } = query
  if (state !== undefined && !STATES.includes(state)) {
    throw new TypeError(`state must be running, done, held or released, not ${JSON.stringify(state)}`)
  }
  const walk = state === 'running' || state === 'held' ? WALK_OPEN : WALK
  let from = query.cursor === undefined ? NEWEST : parseCursor(query.cursor)
  const now = await ownStatement(context, async (session) => {
    const { rows } = await session.query(READ_NOW)
    return Number(rows[0]?.['now'])
  })
  const records: OperationRecord[] = []
  let stretch = limit + FIRST_STRETCH
  for (;;) {
    const values = [...filterValues(query, now), ...beforeValues(from), String(stretch)]
    const { rows } = await ownStatement(context, (session) => session.query(walk, values))
    const hits = rows.filter((row) => Number(row['hit']) === 1).map((row) => String(row['digest']))
    for (let at = 0; at < hits.length && records.length <= limit; at += MAX_FETCH) {
      const found = await readInOrder(context, hits.slice(at, at + MAX_FETCH))
      // The columns narrow the search; what they cannot hold exactly is decided here.
      records.push(...found.filter((record) => matches(record, query, now) && !isExpired(record, now)))
    }
    const last = rows.at(-1)
    if (records.length > limit || last === undefined || rows.length < stretch || context.isClosed()) break
    from = { createdAt: Number(last['created_at']), digest: String(last['digest']) }
    stretch = NEXT_STRETCH
  }
  const page = records.slice(0, limit)
  const last = page.at(-1)
  if (records.length <= limit || last === undefined) return { records: page }
  return { records: page, cursor: toCursor({ createdAt: last.createdAt, digest: last.id.digest }) }
}

/** Reads records, leaving out those that have gone meanwhile. */
async function readInOrder(
  context: StoreContext,
  digests: readonly string[],
): Promise<readonly OperationRecord[]> {
  const found = await ownStatement(context, (session) => context.table.read(session, digests))
  const records: OperationRecord[] = []
  for (const digest of digests) {
    const at = found.get(digest)
    if (at === undefined) continue
    if ('fault' in at) throw at.fault
    records.push(at.record)
  }
  return records
}

function filterValues(query: ListQuery, now: number): readonly SqlValue[] {
  const { state = null, scope, keyPrefix, olderThanMs } = query
  const inScope = scope === undefined ? null : Buffer.from(columnText(scope))
  // A prefix that ends within a character, or holds what a column cannot, is left to the comparison afterwards.
  const prefix = keyPrefix === undefined || !fitsColumn(keyPrefix) ? null : Buffer.from(keyPrefix)
  const youngest = olderThanMs === undefined ? Number.MAX_SAFE_INTEGER : Math.floor(now - olderThanMs)
  return [state, state, inScope, inScope, prefix, prefix, prefix, String(youngest)]
}

function beforeValues({ createdAt, digest }: ListPosition): readonly SqlValue[] {
  const at = String(Math.floor(createdAt))
  return [at, at, digest]
}
