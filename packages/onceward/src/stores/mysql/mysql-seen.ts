import type { SeenItems } from '../../core/seen-items.ts'
import {
  asciiJson,
  JSON_PARAMETER,
  type MysqlSession,
  NOW_MS,
  ownStatement,
  ownTransaction,
} from '../../drivers/mysql/index.ts'
import type { StoreContext } from './store-context.ts'

const ASKED = `JSON_TABLE(${JSON_PARAMETER}, '$[*]' COLUMNS (digest CHAR(64) CHARACTER SET ascii PATH '$')) AS j`

/** Assignments run from left to right: the first still sees the old end. */
const MARK = `INSERT INTO onceward_seen (digest, expires_at, mark_id)
  SELECT UNHEX(j.digest), ${NOW_MS} + CAST(? AS SIGNED), UNHEX(?) FROM ${ASKED}
  ON DUPLICATE KEY UPDATE
    mark_id = IF(onceward_seen.expires_at <= ${NOW_MS}, VALUES(mark_id), onceward_seen.mark_id),
    expires_at = IF(onceward_seen.expires_at <= ${NOW_MS} OR ? = '1', VALUES(expires_at), onceward_seen.expires_at)`
const MINE = `SELECT j.digest AS digest FROM ${ASKED}
  STRAIGHT_JOIN onceward_seen AS s FORCE INDEX (PRIMARY) ON s.digest = UNHEX(j.digest) WHERE s.mark_id = UNHEX(?)`
const REMEMBERED = `SELECT j.digest AS digest FROM ${ASKED}
  STRAIGHT_JOIN onceward_seen AS s FORCE INDEX (PRIMARY) ON s.digest = UNHEX(j.digest)
  WHERE s.expires_at > ${NOW_MS} FOR UPDATE`
const FORGET = `DELETE s FROM ${ASKED}
  STRAIGHT_JOIN onceward_seen AS s FORCE INDEX (PRIMARY) ON s.digest = UNHEX(j.digest)`
const PURGE = `DELETE FROM onceward_seen WHERE expires_at <= ${NOW_MS} ORDER BY expires_at LIMIT ?`

/** Remembers items in the table `onceward_seen`: one short transaction a call. */
export function mysqlSeen(
  context: StoreContext,
  call: <T>(body: () => T | Promise<T>) => Promise<T>,
): SeenItems {
  const transaction = <T>(body: (session: MysqlSession) => Promise<T>) =>
    call(() => ownTransaction(context, body))

  return {
    async mark({ digests, markId, windowMs, sliding }) {
      const asked = digests.map(hex)
      // Every call locks in the same order.
      const json = asciiJson([...asked].sort())
      return transaction(async (session) => {
        await session.query(MARK, [String(windowMs), hex(markId), json, sliding ? '1' : '0'])
        // How many rows were written does not tell which, and that one was found may count as written.
        const { rows } = await session.query(MINE, [json, hex(markId)])
        return among(asked, rows)
      })
    },
    async forget(digests) {
      const asked = digests.map(hex)
      const json = asciiJson([...asked].sort())
      return transaction(async (session) => {
        const { rows } = await session.query(REMEMBERED, [json])
        await session.query(FORGET, [json])
        return among(asked, rows)
      })
    },
    purge: (limit) =>
      call(() =>
        ownStatement(context, async (session) => (await session.query(PURGE, [String(limit)])).affected),
      ),
  }
}

function hex(base64url: string): string {
  return Buffer.from(base64url, 'base64url').toString('hex')
}

function among(
  asked: readonly string[],
  rows: readonly Readonly<Record<string, unknown>>[],
): readonly boolean[] {
  const found = new Set(rows.map((row) => String(row['digest'])))
  return asked.map((digest) => found.has(digest))
}
