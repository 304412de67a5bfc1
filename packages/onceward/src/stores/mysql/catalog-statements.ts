import { JSON_PARAMETER, NOW_MS } from '../../drivers/mysql/index.ts'
import { CREATION_SLACK_US } from './record-statements.ts'

/** Whether a record is remembered; a running one that may be rerun is forgotten when nobody has taken it over. */
const ALIVE = `(o.expires_at > ${NOW_MS} OR (o.expires_at IS NULL
  AND NOT (o.state = 'running' AND o.holds = 0 AND o.lease_until + o.retention_ms <= ${NOW_MS})))`

/** What the filters of a listing leave, compared byte by byte. */
const HIT = `(${ALIVE} AND (? IS NULL OR o.state = CONVERT(? USING ascii)) AND (? IS NULL OR CAST(o.scope AS BINARY) = ?)
  AND (? IS NULL OR LEFT(CAST(o.\`key\` AS BINARY), LENGTH(?)) = ?) AND o.created_at <= CAST(? AS SIGNED)) AS hit`

const BEFORE = `o.created_at <= CAST(? AS SIGNED)
  AND (o.created_at < CAST(? AS SIGNED) OR o.digest < CONVERT(? USING ascii))`

/** One stretch of a listing, from the newest to the oldest, with what the filters say of each record. */
export const WALK: string = `SELECT o.created_at, o.digest, ${HIT}
  FROM onceward_operations AS o FORCE INDEX (onceward_operations_by_creation)
  WHERE ${BEFORE} ORDER BY o.created_at DESC, o.digest DESC LIMIT ?`

/** The same over the few that are running or held, which have a place of their own in an index. */
export const WALK_OPEN: string = `SELECT o.created_at, o.digest, ${HIT}
  FROM onceward_operations AS o FORCE INDEX (onceward_operations_by_expiry)
  WHERE o.expires_at IS NULL AND ${BEFORE} ORDER BY o.created_at DESC, o.digest DESC LIMIT ?`

/** At most two of the records whose digests lie between two texts. */
export const FIND: string = `SELECT o.digest FROM onceward_operations AS o
  WHERE o.digest >= CONVERT(? USING ascii) AND o.digest < CONVERT(? USING ascii) AND ${ALIVE} LIMIT 2`

/** Lapsed claims that become held; those that somebody is working on are left for the next time. */
export const LAPSED: string = `SELECT o.digest FROM onceward_operations AS o
  FORCE INDEX (onceward_operations_by_expiry)
  WHERE o.expires_at IS NULL AND o.state = 'running' AND o.holds = 1 AND o.lease_until <= ${NOW_MS}
  LIMIT ? FOR UPDATE SKIP LOCKED`

/**
 * Records stay until a fresh claim would get a larger fence than they had (\`isForgettable\` in core); a claim may bear
 * the time at which its statement began, which is CREATION_SLACK_US earlier at most.
 */
const FORGETTABLE = `o.fence < ${NOW_MS} * 1000 - ${CREATION_SLACK_US}`

/** Ended records whose retention is over. */
export const EXPIRED: string = `SELECT o.digest FROM onceward_operations AS o
  FORCE INDEX (onceward_operations_by_expiry)
  WHERE o.expires_at <= ${NOW_MS} AND ${FORGETTABLE} ORDER BY o.expires_at LIMIT ? FOR UPDATE SKIP LOCKED`

/** Running ones that might be rerun, and that nobody has taken over for as long. */
export const ABANDONED: string = `SELECT o.digest FROM onceward_operations AS o
  FORCE INDEX (onceward_operations_by_expiry)
  WHERE o.expires_at IS NULL AND o.state = 'running' AND o.holds = 0 AND o.lease_until + o.retention_ms <= ${NOW_MS}
    AND ${FORGETTABLE} LIMIT ? FOR UPDATE SKIP LOCKED`

export const DELETE: string = `DELETE o FROM
  JSON_TABLE(${JSON_PARAMETER}, '$[*]' COLUMNS (digest VARCHAR(64) CHARACTER SET ascii PATH '$')) AS j
  STRAIGHT_JOIN onceward_operations AS o FORCE INDEX (PRIMARY) ON o.digest = j.digest`

/** The running and the held ones, with the time of the oldest change. */
export const COUNT_OPEN: string = `SELECT o.state, COUNT(*) AS count, MIN(o.updated_at) AS oldest, ${NOW_MS} AS now
  FROM onceward_operations AS o WHERE o.expires_at IS NULL AND ${ALIVE} GROUP BY o.state`

/** The ended ones, by the index of what will be forgotten. */
export const COUNT_ENDED: string = `SELECT o.state, COUNT(*) AS count FROM onceward_operations AS o
  WHERE o.expires_at > ${NOW_MS} GROUP BY o.state`

export const COUNT_LAPSED: string = `SELECT COUNT(*) AS count FROM onceward_operations AS o
  WHERE o.expires_at IS NULL AND o.state = 'running' AND o.holds = 1 AND o.lease_until <= ${NOW_MS}`

export const COUNT_EXPIRED: string = `SELECT COUNT(*) AS count FROM onceward_operations AS o
  WHERE o.expires_at <= ${NOW_MS}`

export const AUDIT = 'SELECT entry FROM onceward_audit ORDER BY id DESC LIMIT ?'
export const AUDIT_OF = `SELECT entry FROM onceward_audit
  WHERE digest = CONVERT(? USING ascii) ORDER BY id DESC LIMIT ?`
