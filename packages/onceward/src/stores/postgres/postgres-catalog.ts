import { checkedLimit, MAX_PAGE, MIN_DIGEST_PREFIX } from '../../core/catalog-query.ts'
import type { AuditEntry, OperationCatalog } from '../../core/store.ts'
import { isExpired, sweep } from '../../core/transitions.ts'
import { failure, NOW_MS, ownTransaction, plain } from '../../drivers/pg/index.ts'
import { listOperations } from './list-operations.ts'
import type { Ended } from './locked-calls.ts'
import { RECORD, readRecord, recordValues } from './record-rows.ts'
import type { StoreContext } from './store-context.ts'

/** The catalog without what needs no schema (`migrate`, `doctor`). */
export type PostgresCatalog = Omit<OperationCatalog, 'migrate' | 'doctor'>

/** Makes the catalog. `sweep` and `purge` work in one bounded batch a call and pass over what others have locked. */
export function postgresCatalog(
  context: StoreContext,
  onEnded: (ended: readonly Ended[]) => void,
): PostgresCatalog {
  const { driver, settings, statements } = context
  const texts = catalogStatements(settings.schema)
  return {
    list: (query) => listOperations(context, query),
    async find(digest) {
      if (!/^[\w-]+$/.test(digest) || digest.length < MIN_DIGEST_PREFIX) return undefined
      // Every digest with this prefix sorts before the prefix followed by DEL.
      const { rows } = await context.run(texts.find, [digest, `${digest}\x7f`])
      const live = rows
        .map((row) => ({ record: readRecord(row[1] ?? '', driver.where), now: Number(row[0]) }))
        .filter(({ record, now }) => !isExpired(record, now))
        .map(({ record }) => record)
      return live.find((record) => record.id.digest === digest) ?? (live.length === 1 ? live[0] : undefined)
    },
    async sweep(limit) {
      const most = checkedLimit(limit ?? MAX_PAGE)
      const held = await ownTransaction(context, async ({ run }) => {
        const { rows } = await run(texts.lapsed, [String(most)])
        const swept = rows.flatMap((row) => {
          try {
            return sweep(readRecord(row[1] ?? '', driver.where), Number(row[0])) ?? []
          } catch {
            // A row that cannot be read is told by whoever asks for it; it must not stop the others.
            return []
          }
        })
        if (swept.length > 0) await run(statements.update, recordValues(swept))
        return swept
      })
      onEnded(held.map(({ id, duplicates }) => ({ digest: id.digest, contended: duplicates > 0 })))
      return held.length
    },
    async purge(limit) {
      const most = checkedLimit(limit ?? MAX_PAGE)
      const { rows } = await context.run(texts.purge, [String(most)])
      return Number(rows[0]?.[0])
    },
    async stats() {
      const { rows } = await context.run(texts.stats, [])
      const now = Number(rows[0]?.[3])
      const of = (state: string) => rows.find((row) => row[0] === state)
      const count = (state: string) => Number(of(state)?.[1] ?? 0)
      const ageMs = (state: string) => Math.max(0, now - Number(of(state)?.[2] ?? now))
      return {
        running: count('running'),
        held: count('held'),
        released: count('released'),
        done: count('ended') - count('released'),
        oldestRunningMs: ageMs('running'),
        oldestHeldMs: ageMs('held'),
      }
    },
    async audit(query = {}) {
      const limit = checkedLimit(query.limit)
      const { rows } = await context.run(texts.audit, [query.digest ?? null, String(limit)])
      return rows.map(([entry]) => readEntry(entry ?? '', driver.where))
    },
  }
}

function catalogStatements(schema: string) {
  const table = `"${schema}".onceward_operations`
  // A running record that may be rerun expires a retention after its lease; nobody has it while it is locked.
  const lapsedRerun = "o.state = 'running' AND o.state <> 'done' AND NOT o.holds"
  return {
    find: plain(
      `SELECT (${NOW_MS})::text AS now, ${RECORD} AS found FROM ${table} AS o
        WHERE o.digest >= $1::text AND o.digest < $2::text
          AND (o.expires_at IS NULL OR o.expires_at > ${NOW_MS}) ORDER BY o.digest LIMIT 20`,
      ['now', 'found'],
    ),
    lapsed: plain(
      `SELECT (${NOW_MS})::text AS now, ${RECORD} AS found FROM ${table} AS o
        WHERE o.state = 'running' AND o.state <> 'done' AND o.holds AND o.lease_until <= ${NOW_MS}
        ORDER BY o.created_at LIMIT $1::bigint FOR UPDATE SKIP LOCKED`,
      ['now', 'found'],
    ),
    // A record stays until a fresh claim would get a larger fence than it had: `isForgettable` in core.
    purge: plain(
      `WITH clock AS MATERIALIZED (SELECT ${NOW_MS} AS now),
      ended AS (
        SELECT o.digest FROM ${table} AS o
        WHERE o.expires_at IS NOT NULL AND o.expires_at <= (SELECT now FROM clock)
          AND o.fence < (SELECT now FROM clock) * 1000
        ORDER BY o.expires_at LIMIT $1::bigint FOR UPDATE SKIP LOCKED),
      lapsed AS (
        SELECT o.digest FROM ${table} AS o
        WHERE ${lapsedRerun} AND o.lease_until + o.retention_ms <= (SELECT now FROM clock)
          AND o.fence < (SELECT now FROM clock) * 1000
        LIMIT $1::bigint FOR UPDATE SKIP LOCKED),
      chosen AS (SELECT digest FROM ended UNION ALL SELECT digest FROM lapsed LIMIT $1::bigint),
      gone AS (
        DELETE FROM ${table} AS o WHERE o.digest IN (SELECT chosen.digest FROM chosen) RETURNING 1)
      SELECT count(*)::text AS purged FROM gone`,
      ['purged'],
    ),
    // What has ended has an expiry and an index of it; the few that are not done have another.
    stats: plain(
      `WITH clock AS MATERIALIZED (SELECT ${NOW_MS} AS now)
      SELECT o.state AS state, count(*)::text AS count, min(o.updated_at)::text AS oldest, (SELECT now FROM clock)::text AS now
      FROM ${table} AS o
      WHERE o.state <> 'done' AND (o.expires_at IS NULL OR o.expires_at > (SELECT now FROM clock))
        AND NOT (${lapsedRerun} AND o.lease_until + o.retention_ms <= (SELECT now FROM clock))
      GROUP BY o.state
      UNION ALL
      SELECT 'ended', count(*)::text, NULL, (SELECT now FROM clock)::text
      FROM ${table} AS o WHERE o.expires_at > (SELECT now FROM clock)`,
      ['state', 'count', 'oldest', 'now'],
    ),
    audit: plain(
      `SELECT a.entry AS entry FROM "${schema}".onceward_audit AS a
        WHERE $1::text IS NULL OR a.digest = $1::text ORDER BY a.id DESC LIMIT $2::bigint`,
      ['entry'],
    ),
  } as const
}

function readEntry(text: string, where: string): AuditEntry {
  try {
    const entry: unknown = JSON.parse(text)
    if (typeof entry === 'object' && entry !== null && 'digest' in entry) return entry as AuditEntry
  } catch {
    // Told below.
  }
  throw failure('STORE_CORRUPT', `a line of onceward_audit in ${where} cannot be read; restore or delete it`)
}
