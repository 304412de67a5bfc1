import { checkedLimit, MAX_PAGE, MIN_DIGEST_PREFIX } from '../../core/catalog-query.ts'
import type { OperationRecord } from '../../core/operation.ts'
import type { AuditEntry, OperationCatalog } from '../../core/store.ts'
import { isExpired, sweep } from '../../core/transitions.ts'
import {
  asciiJson,
  failure,
  type MysqlSession,
  ownStatement,
  ownTransaction,
} from '../../drivers/mysql/index.ts'
import type { Change, Row } from '../../drivers/sql/index.ts'
import {
  ABANDONED,
  AUDIT,
  AUDIT_OF,
  COUNT_ENDED,
  COUNT_OPEN,
  DELETE,
  EXPIRED,
  FIND,
  LAPSED,
} from './catalog-statements.ts'
import { listOperations } from './list-operations.ts'
import type { StoreContext } from './store-context.ts'

/** The catalog without what needs no schema (`migrate`, `doctor`). */
export type MysqlCatalog = Omit<OperationCatalog, 'migrate' | 'doctor'>

/** Makes the catalog. Reads take no lock; `sweep` and `purge` lock one bounded batch, and leave to others what is locked. */
export function mysqlCatalog(context: StoreContext): MysqlCatalog {
  const readOne = async (digest: string): Promise<OperationRecord | undefined> => {
    const found = await ownStatement(context, (session) => context.table.read(session, [digest]))
    const at = found.get(digest)
    if (at === undefined) return undefined
    if ('fault' in at) throw at.fault
    return isExpired(at.record, at.now) ? undefined : at.record
  }
  return {
    list: (query) => listOperations(context, query),
    async find(digest) {
      if (!/^[\w-]+$/.test(digest) || digest.length < MIN_DIGEST_PREFIX) return undefined
      const exact = await readOne(digest)
      if (exact) return exact
      // Every digest with this prefix sorts before the prefix followed by DEL.
      const { rows } = await ownStatement(context, (session) =>
        session.query(FIND, [digest, `${digest}\x7f`]),
      )
      const [only, another] = rows
      return only && !another ? readOne(String(only['digest'])) : undefined
    },
    async sweep(limit) {
      const most = checkedLimit(limit ?? MAX_PAGE)
      const held = await ownTransaction(context, (session) => sweepOnce(context, session, most))
      for (const digest of held) context.onChanged(digest)
      return held.length
    },
    async purge(limit) {
      const most = checkedLimit(limit ?? MAX_PAGE)
      return ownTransaction(context, async (session) => {
        const gone = await digestsOf(session, EXPIRED, most)
        if (gone.length < most) gone.push(...(await digestsOf(session, ABANDONED, most - gone.length)))
        if (gone.length > 0) await session.query(DELETE, [asciiJson(gone.sort())])
        return gone.length
      })
    },
    async stats() {
      const [open, ended] = await ownStatement(context, async (session) => [
        (await session.query(COUNT_OPEN)).rows,
        (await session.query(COUNT_ENDED)).rows,
      ])
      const count = (rows: readonly Row[] = [], state: string) => Number(rowOf(rows, state)?.['count'] ?? 0)
      const ageMs = (state: string) => {
        const row = rowOf(open ?? [], state)
        return row === undefined ? 0 : Math.max(0, Number(row['now']) - Number(row['oldest']))
      }
      return {
        running: count(open, 'running'),
        held: count(open, 'held'),
        released: count(ended, 'released'),
        done: count(ended, 'done'),
        oldestRunningMs: ageMs('running'),
        oldestHeldMs: ageMs('held'),
      }
    },
    async audit(query = {}) {
      const limit = String(checkedLimit(query.limit))
      const { digest } = query
      // Digests are ASCII; anything else has no decisions.
      if (digest !== undefined && !/^[\w-]+$/.test(digest)) return []
      const { rows } = await ownStatement(context, (session) =>
        digest === undefined ? session.query(AUDIT, [limit]) : session.query(AUDIT_OF, [digest, limit]),
      )
      return rows.map((row) => readEntry(row, context.driver.where))
    },
  }
}

async function sweepOnce(
  context: StoreContext,
  session: MysqlSession,
  most: number,
): Promise<readonly string[]> {
  const lapsed = await digestsOf(session, LAPSED, most)
  if (lapsed.length === 0) return []
  const records = context.table.locked(session)
  const found = await records.lock(lapsed.sort())
  const now = await records.now()
  const changes: Change[] = []
  for (const at of found.values()) {
    // A row that cannot be read is told by whoever asks for it; it must not stop the others from being swept.
    const before = 'record' in at ? at.record : undefined
    const after = before && sweep(before, now)
    if (after) changes.push({ before, after })
  }
  if (changes.length > 0) await records.write(changes)
  return changes.map(({ after }) => after.id.digest)
}

async function digestsOf(session: MysqlSession, statement: string, most: number): Promise<string[]> {
  const { rows } = await session.query(statement, [String(most)])
  return rows.map((row) => String(row['digest']))
}

function rowOf(rows: readonly Row[], state: string): Row | undefined {
  return rows.find((row) => row['state'] === state)
}

function readEntry(row: Row, where: string): AuditEntry {
  try {
    const entry: unknown = JSON.parse(String(row['entry']))
    if (typeof entry === 'object' && entry !== null && 'digest' in entry) return entry as AuditEntry
  } catch {
    // Told below.
  }
  throw failure('STORE_CORRUPT', `a line of onceward_audit in ${where} cannot be read; restore or delete it`)
}
