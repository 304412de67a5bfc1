import type { SeenItems } from '../../core/seen-items.ts'
import { NOW_MS, named, plain, textArray, whileInConflict } from '../../drivers/pg/index.ts'
import type { StoreContext } from './store-context.ts'

/** Remembers items in the table `onceward_seen`: one statement a call. */
export function postgresSeen(
  context: StoreContext,
  call: <T>(body: () => Promise<T>) => Promise<T>,
): SeenItems {
  const texts = seenStatements(context.settings.schema)
  const run: StoreContext['run'] = (statement, values) =>
    call(() => whileInConflict(context, () => context.run(statement, values)))

  return {
    async mark({ digests, markId, windowMs, sliding }) {
      const asked = digests.map(hex)
      const values = [textArray(asked), String(windowMs), hex(markId), sliding ? '1' : '0']
      const { rows } = await run(texts.mark, values)
      const mine = new Set(rows.filter((row) => row[1] === 'true').map((row) => row[0]))
      return asked.map((digest) => mine.has(digest))
    },
    async forget(digests) {
      const asked = digests.map(hex)
      const { rows } = await run(texts.forget, [textArray(asked)])
      const gone = new Set(rows.filter((row) => row[1] === 'true').map((row) => row[0]))
      return asked.map((digest) => gone.has(digest))
    },
    async purge(limit) {
      const { rows } = await run(texts.purge, [String(limit)])
      return Number(rows[0]?.[0])
    },
  }
}

function hex(base64url: string): string {
  return Buffer.from(base64url, 'base64url').toString('hex')
}

function seenStatements(schema: string) {
  const table = `"${schema}".onceward_seen`
  const isOver = 's.expires_at <= excluded.expires_at - $2::bigint'
  return {
    // What was seen before is written only where that says something new. Rows are locked in the order of their digests.
    mark: named(
      'mark',
      `WITH clock AS MATERIALIZED (SELECT ${NOW_MS} AS now)
      INSERT INTO ${table} AS s (digest, expires_at, mark_id)
      SELECT decode(a.digest, 'hex'), clock.now + $2::bigint, decode($3::text, 'hex')
      FROM clock CROSS JOIN unnest($1::text[]) AS a(digest) ORDER BY a.digest COLLATE "C"
      ON CONFLICT (digest) DO UPDATE SET
        expires_at = CASE WHEN ${isOver} OR $4::integer = 1 THEN excluded.expires_at ELSE s.expires_at END,
        mark_id = CASE WHEN ${isOver} THEN excluded.mark_id ELSE s.mark_id END
      WHERE ${isOver} OR $4::integer = 1 OR s.mark_id = excluded.mark_id
      RETURNING encode(s.digest, 'hex') AS digest, (s.mark_id = decode($3::text, 'hex'))::text AS mine`,
      ['digest', 'mine'],
    ),
    // Locked in that order too: whoever deletes as it finds them deadlocks with whoever marks them.
    forget: plain(
      `WITH clock AS MATERIALIZED (SELECT ${NOW_MS} AS now),
      locked AS (
        SELECT f.digest FROM ${table} AS f
        WHERE f.digest IN (SELECT decode(a.digest, 'hex') FROM unnest($1::text[]) AS a(digest))
        ORDER BY f.digest FOR UPDATE)
      DELETE FROM ${table} AS s USING locked WHERE s.digest = locked.digest
      RETURNING encode(s.digest, 'hex') AS digest, (s.expires_at > (SELECT clock.now FROM clock))::text AS remembered`,
      ['digest', 'remembered'],
    ),
    purge: plain(
      `WITH clock AS MATERIALIZED (SELECT ${NOW_MS} AS now),
      chosen AS (
        SELECT s.digest FROM ${table} AS s WHERE s.expires_at <= (SELECT clock.now FROM clock)
        ORDER BY s.expires_at LIMIT $1::bigint FOR UPDATE SKIP LOCKED),
      gone AS (
        DELETE FROM ${table} AS s WHERE s.digest IN (SELECT chosen.digest FROM chosen) RETURNING 1)
      SELECT count(*)::text AS purged FROM gone`,
      ['purged'],
    ),
  } as const
}
