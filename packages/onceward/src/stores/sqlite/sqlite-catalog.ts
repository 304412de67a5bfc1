import { checkedLimit, MAX_PAGE, MIN_DIGEST_PREFIX } from '../../core/catalog-query.ts'
import type { AuditEntry, OperationCatalog } from '../../core/store.ts'
import { isExpired, sweep } from '../../core/transitions.ts'
import { failure, type SqliteConnection, writeTransaction } from '../../drivers/sqlite/index.ts'
import { listOperations } from './list-operations.ts'
import { COLUMNS, fromRow, IS_LAPSED, type Row } from './record-row.ts'
import { recordTable } from './record-table.ts'
import type { StoreContext } from './store-context.ts'

const BY_DIGEST = `SELECT ${COLUMNS} FROM onceward_operations WHERE digest = ?`
const BY_PREFIX = `SELECT ${COLUMNS} FROM onceward_operations WHERE digest >= ? AND digest < ?
  AND (expires_at IS NULL OR expires_at > ?) LIMIT 2`
const LAPSED = `SELECT digest FROM onceward_operations WHERE ${IS_LAPSED} LIMIT ?`
/** A record stays until a fresh claim would get a larger fence than it had: `isForgettable` in core. */
const PURGE = `DELETE FROM onceward_operations WHERE id IN (SELECT id FROM onceward_operations
  WHERE expires_at IS NOT NULL AND expires_at <= ? AND fence < ? ORDER BY expires_at LIMIT ?)`
/** Few records are not done, and these have an index of their own. */
const OPEN_COUNTS = `SELECT state, count(*) AS count, min(updated_at) AS oldest FROM onceward_operations
  WHERE state <> 'done' AND (expires_at IS NULL OR expires_at > ?) GROUP BY state`
const LIVE_COUNT = `SELECT (SELECT count(*) FROM onceward_operations) - (SELECT count(*) FROM onceward_operations
  WHERE expires_at IS NOT NULL AND expires_at <= ?) AS count`
const AUDIT = 'SELECT entry FROM onceward_audit ORDER BY id DESC LIMIT ?'
const AUDIT_OF = 'SELECT entry FROM onceward_audit WHERE digest = ? ORDER BY id DESC LIMIT ?'

/** The catalog without what needs no schema (`migrate`, `doctor`). */
export type SqliteCatalog = Omit<OperationCatalog, 'migrate' | 'doctor'>

/** Makes the catalog. Reads take no lock; `sweep` and `purge` hold the write lock for one bounded batch. */
export function sqliteCatalog(context: StoreContext, onEnded: (digest: string) => void): SqliteCatalog {
  const { connection, clock } = context
  return {
    list: (query) => listOperations(context, query),
    async find(digest) {
      const now = clock.now()
      if (!/^[\w-]+$/.test(digest) || digest.length < MIN_DIGEST_PREFIX) return undefined
      const exact = connection.prepare(BY_DIGEST).get(digest) as Row | undefined
      if (exact) {
        const record = fromRow(exact, connection.path)
        return isExpired(record, now) ? undefined : record
      }
      // Every digest with this prefix sorts before the prefix followed by DEL.
      const [only, another] = connection.prepare(BY_PREFIX).all(digest, `${digest}\x7f`, now) as Row[]
      return only && !another ? fromRow(only, connection.path) : undefined
    },
    async sweep(limit) {
      const most = checkedLimit(limit ?? MAX_PAGE)
      const held = await writeTransaction(context, () => sweepOnce(connection, clock.now(), most))
      for (const digest of held) onEnded(digest)
      return held.length
    },
    async purge(limit) {
      const most = checkedLimit(limit ?? MAX_PAGE)
      return writeTransaction(context, () => {
        const now = clock.now()
        return Number(connection.prepare(PURGE).run(now, Math.floor(now * 1000), most).changes)
      })
    },
    async stats() {
      const now = clock.now()
      const open = connection.prepare(OPEN_COUNTS).all(now) as OpenCount[]
      const live = Number((connection.prepare(LIVE_COUNT).get(now) as { readonly count: number }).count)
      const of = (state: OpenCount['state']) => open.find((one) => one.state === state)
      const count = (state: OpenCount['state']) => of(state)?.count ?? 0
      const ageMs = (state: OpenCount['state']) => Math.max(0, now - (of(state)?.oldest ?? now))
      return {
        running: count('running'),
        held: count('held'),
        released: count('released'),
        done: live - count('running') - count('held') - count('released'),
        oldestRunningMs: ageMs('running'),
        oldestHeldMs: ageMs('held'),
      }
    },
    async audit(query = {}) {
      const limit = checkedLimit(query.limit)
      const rows =
        query.digest === undefined
          ? connection.prepare(AUDIT).all(limit)
          : connection.prepare(AUDIT_OF).all(query.digest, limit)
      return (rows as Row[]).map((row) => readEntry(row, connection.path))
    },
  }
}

interface OpenCount {
  readonly state: 'running' | 'held' | 'released'
  readonly count: number
  readonly oldest: number
}

function sweepOnce(connection: SqliteConnection, now: number, most: number): readonly string[] {
  const table = recordTable(connection)
  const lapsed = connection.prepare(LAPSED).all(now, most) as { readonly digest: string }[]
  const held: string[] = []
  for (const [digest, found] of table.read(lapsed.map((row) => row.digest))) {
    // A row that cannot be read is told by whoever asks for it; it must not stop the others from being swept.
    const write = 'record' in found ? sweep(found.record, now) : undefined
    if (write === undefined) continue
    table.write(write, found)
    held.push(digest)
  }
  return held
}

function readEntry(row: Row, path: string): AuditEntry {
  const text = row['entry']
  try {
    const entry: unknown = JSON.parse(String(text))
    if (typeof entry === 'object' && entry !== null && 'digest' in entry) return entry as AuditEntry
  } catch {
    // Told below.
  }
  throw failure('STORE_CORRUPT', `a line of onceward_audit in ${path} cannot be read; restore or delete it`)
}
