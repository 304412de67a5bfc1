import { JSON_PARAMETER, NOW_MS, NOW_US } from '../../drivers/mysql/index.ts'
import { ROWS_OF_A_WALK } from '../idle-rows.ts'
import { IDLE_ROWS_KEPT_MS } from '../lock-columns.ts'

/*
 * The statements on locks, in what MySQL 8.0 and MariaDB 10.6 have in common; they mean the same in every sql_mode and
 * character set. What may be any text is bound as hexadecimal digits. Time is that of the beginning of a statement, before it
 * waits for a row: judged by it a lease lapses later, and ends earlier, never the other way round.
 */

/** Grants a lock whose row is there, which nobody holds, shares or waits for, and which has no mark. */
export const TAKE: string = `UPDATE onceward_locks
  SET fence = LAST_INSERT_ID(GREATEST(fence + 1, ${NOW_US})) + CAST(? AS SIGNED) - 1, fences = CAST(? AS SIGNED),
    until = ${NOW_MS} + CAST(? AS SIGNED), token = UNHEX(?), owner = UNHEX(?), meta = UNHEX(?), touched_at = ${NOW_MS}
  WHERE \`key\` = UNHEX(?) AND keep_until <= ${NOW_MS} AND (token IS NULL OR until <= ${NOW_MS})`

/** Grants a lock that nobody has used lately. What is there is left alone; there are no other errors to ignore. */
export const CREATE_TAKEN: string = `INSERT IGNORE INTO onceward_locks
    (fence, fences, until, token, owner, meta, \`key\`, state, busy_until, keep_until, touched_at)
  SELECT t.us + CAST(? AS SIGNED) - 1, CAST(? AS SIGNED), t.us DIV 1000 + CAST(? AS SIGNED), UNHEX(?), UNHEX(?), UNHEX(?),
    UNHEX(?), NULL, 0, 0, t.us DIV 1000
  FROM (SELECT LAST_INSERT_ID(${NOW_US}) AS us) AS t`

/** Gives up a grant where nobody waits. */
export const RELEASE: string = `UPDATE onceward_locks SET token = NULL, owner = NULL, meta = NULL, touched_at = ${NOW_MS}
  WHERE \`key\` = UNHEX(?) AND token = UNHEX(?) AND until > ${NOW_MS} AND busy_until <= ${NOW_MS}`

/** The row of `j`. In a small table the optimizer would rather read, and lock, all of it. */
const BY_KEY = 'onceward_locks AS o FORCE INDEX (PRIMARY) ON o.`key` = UNHEX(j.k)'

/** Moves the ends of grants of those who hold alone, in the order of the list. */
export const EXTEND: string = `UPDATE JSON_TABLE(${JSON_PARAMETER}, '$[*]' COLUMNS (
    k VARCHAR(1280) CHARACTER SET ascii PATH '$[0]',
    token VARCHAR(510) CHARACTER SET ascii PATH '$[1]',
    ttl_ms BIGINT PATH '$[2]',
    meta MEDIUMTEXT CHARACTER SET ascii PATH '$[3]')) AS j
  STRAIGHT_JOIN ${BY_KEY}
  SET o.until = ${NOW_MS} + j.ttl_ms, o.meta = COALESCE(UNHEX(j.meta), o.meta)
  WHERE o.token = UNHEX(j.token) AND o.until > ${NOW_MS}`

const KEYS = `JSON_TABLE(${JSON_PARAMETER}, '$[*]' COLUMNS (k VARCHAR(1280) CHARACTER SET ascii PATH '$')) AS j`

const COLUMNS =
  'j.k AS k, o.token, o.fence, o.fences, o.until, o.owner, o.meta, o.state, o.busy_until, o.keep_until'

/** Reads rows as they are committed, and the time. Locks nothing. */
export const READ: string = `SELECT ${COLUMNS}, ${NOW_MS} AS now FROM ${KEYS} STRAIGHT_JOIN ${BY_KEY}`

/** Locks rows in the order of the list, and reads them as they are committed, and the time. */
export const LOCK: string = `SELECT ${COLUMNS}, ${NOW_MS} AS now FROM ${KEYS} STRAIGHT_JOIN ${BY_KEY} FOR UPDATE`

const WHOLE_ROWS = `JSON_TABLE(${JSON_PARAMETER}, '$[*]' COLUMNS (
    k VARCHAR(1280) CHARACTER SET ascii PATH '$[0]',
    token VARCHAR(510) CHARACTER SET ascii PATH '$[1]',
    fence BIGINT PATH '$[2]',
    fences BIGINT PATH '$[3]',
    until BIGINT PATH '$[4]',
    owner MEDIUMTEXT CHARACTER SET ascii PATH '$[5]',
    meta MEDIUMTEXT CHARACTER SET ascii PATH '$[6]',
    state LONGTEXT CHARACTER SET ascii PATH '$[7]',
    busy_until BIGINT PATH '$[8]',
    keep_until BIGINT PATH '$[9]')) AS j`

/** Writes over rows that the transaction has locked. */
export const OVERWRITE: string = `UPDATE ${WHOLE_ROWS} STRAIGHT_JOIN ${BY_KEY}
  SET o.token = UNHEX(j.token), o.fence = j.fence, o.fences = j.fences, o.until = j.until, o.owner = UNHEX(j.owner),
    o.meta = UNHEX(j.meta), o.state = j.state, o.busy_until = j.busy_until, o.keep_until = j.keep_until,
    o.touched_at = ${NOW_MS}`

/** Creates rows; one that is there already fails it. */
export const CREATE: string = `INSERT INTO onceward_locks
    (\`key\`, token, fence, fences, until, owner, meta, state, busy_until, keep_until, touched_at)
  SELECT UNHEX(j.k), UNHEX(j.token), j.fence, j.fences, j.until, UNHEX(j.owner), UNHEX(j.meta), j.state, j.busy_until,
    j.keep_until, ${NOW_MS}
  FROM ${WHOLE_ROWS}`

const IS_IDLE = (row: string) =>
  `GREATEST(${row}.touched_at, ${row}.until, ${row}.keep_until, ${row}.fence DIV 1000) < ${NOW_MS} - ${IDLE_ROWS_KEPT_MS}`

/** Looks at some rows behind a key: which of them are idle. */
export const WALK: string = `SELECT HEX(o.\`key\`) AS k, ${IS_IDLE('o')} AS idle FROM onceward_locks AS o
  WHERE o.\`key\` > UNHEX(?) ORDER BY o.\`key\` LIMIT ${ROWS_OF_A_WALK}`

/** Locks those that are still idle and that nobody works on. */
export const LOCK_IDLE: string = `SELECT j.k AS k FROM ${KEYS} STRAIGHT_JOIN ${BY_KEY}
  WHERE ${IS_IDLE('o')} FOR UPDATE SKIP LOCKED`

/** Deletes rows that the transaction has locked. */
export const DELETE: string = `DELETE o FROM ${KEYS} STRAIGHT_JOIN ${BY_KEY}`

/**
 * Locks the row of a key inside a transaction until that has ended; creates it where it is missing. The row that is there is
 * locked at once and not shared first, so that two who want it never wait for each other.
 */
export const LOCK_OR_CREATE: string = `INSERT INTO onceward_locks
    (\`key\`, token, fence, fences, until, owner, meta, state, busy_until, keep_until, touched_at)
  VALUES (UNHEX(?), NULL, 0, 0, 0, NULL, NULL, NULL, 0, 0, ${NOW_MS})
  ON DUPLICATE KEY UPDATE touched_at = GREATEST(onceward_locks.touched_at, ${NOW_MS})`
