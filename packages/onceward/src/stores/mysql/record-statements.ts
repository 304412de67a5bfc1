import { JSON_PARAMETER, NOW_MS, NOW_US } from '../../drivers/mysql/index.ts'

/**
 * The statements on records. Each takes its whole batch as one JSON text, whatever its size, so that it is prepared once
 * a connection; `payload` travels beside it as bytes. They are written in what MySQL 8.0 and MariaDB 10.6 have in
 * common, mean the same in every sql_mode, and hold no question mark but their parameters.
 */

/** The columns of a record as they are read. Text that may be other than ASCII comes as bytes. */
export const READ_COLUMNS: string = [
  'o.digest',
  'CAST(o.scope AS BINARY) AS scope',
  'CAST(o.`key` AS BINARY) AS `key`',
  'o.state',
  'CAST(o.fingerprint AS BINARY) AS fingerprint',
  'o.on_crash',
  'o.holds',
  'CAST(o.owner AS BINARY) AS owner',
  'o.fence',
  'o.attempt',
  'o.created_at',
  'o.updated_at',
  'o.lease_until',
  'o.retention_ms',
  'o.expires_at',
  'o.asks',
  'o.next_ask_at',
  'o.duplicates',
  'o.detail',
  'o.history',
  'o.payload',
].join(', ')

const DIGESTS = `JSON_TABLE(${JSON_PARAMETER}, '$[*]' COLUMNS (digest VARCHAR(64) CHARACTER SET ascii PATH '$')) AS j`

/** The row of `j`. In a small table the optimizer would rather read, and lock, all of it. */
const BY_DIGEST = 'onceward_operations AS o FORCE INDEX (PRIMARY) ON o.digest = j.digest'

/** Reads records as they are committed, and the time. Locks nothing. */
export const READ: string = `SELECT ${READ_COLUMNS}, ${NOW_MS} AS now
  FROM ${DIGESTS} STRAIGHT_JOIN ${BY_DIGEST}`

/** Locks records in the order of the list, and reads them as they are committed. */
export const LOCK: string = `SELECT ${READ_COLUMNS}
  FROM ${DIGESTS} STRAIGHT_JOIN ${BY_DIGEST} FOR UPDATE`

/** What waiters look at. */
export const READ_MARKS: string = `SELECT o.digest, o.state, o.fence, ${NOW_MS} - o.updated_at AS changed_ms_ago
  FROM ${DIGESTS} STRAIGHT_JOIN ${BY_DIGEST}`

/** How much later than the beginning of its statement a record may be created with the time of that beginning, in µs. */
export const CREATION_SLACK_US = 250_000

const FRESH_COLUMNS = `digest, scope, \`key\`, state, fingerprint, on_crash, holds, owner, fence, attempt, created_at,
  updated_at, lease_until, retention_ms, expires_at, asks, next_ask_at, duplicates, detail, history, payload`

const FRESH_VALUES = `j.digest, j.scope, j.k, 'running', j.fingerprint, j.on_crash, IF(j.on_crash = 'hold', 1, 0), j.owner,
  t.us, 1, t.us DIV 1000, t.us DIV 1000, t.us DIV 1000 + j.lease_ms, j.retention_ms, NULL, 0, 0, 0, j.detail, NULL, NULL`

const FRESH_ROWS = `JSON_TABLE(${JSON_PARAMETER}, '$[*]' COLUMNS (
    digest VARCHAR(64) CHARACTER SET ascii PATH '$[0]',
    scope TEXT CHARACTER SET utf8mb4 PATH '$[1]',
    k TEXT CHARACTER SET utf8mb4 PATH '$[2]',
    fingerprint VARCHAR(255) CHARACTER SET utf8mb4 PATH '$[3]',
    on_crash VARCHAR(8) CHARACTER SET ascii PATH '$[4]',
    owner VARCHAR(255) CHARACTER SET utf8mb4 PATH '$[5]',
    lease_ms BIGINT PATH '$[6]',
    retention_ms BIGINT PATH '$[7]',
    detail TEXT CHARACTER SET ascii PATH '$[8]')) AS j
  CROSS JOIN (SELECT LAST_INSERT_ID(${NOW_US}) AS us) AS t`

/**
 * Grants claims on operations that nobody has claimed: creates their records, all with the time at which the statement
 * began, and gives that time to LAST_INSERT_ID. Records that are there already are left alone, and so are those whose
 * turn comes late because another transaction held up the statement: their fence could be smaller than one that was
 * granted, ended and purged meanwhile. The purge keeps records for as long.
 *
 * Errors in the data would be warnings only; there are none, because all of it was checked before.
 */
export const CLAIM_FRESH: string = `INSERT IGNORE INTO onceward_operations (${FRESH_COLUMNS})
  SELECT ${FRESH_VALUES} FROM ${FRESH_ROWS}
  WHERE SYSDATE(6) < NOW(6) + INTERVAL ${CREATION_SLACK_US} MICROSECOND`

/**
 * The same for one claim inside a transaction: a record that is there already, or that another transaction is about to
 * commit, is waited for and locked, and LAST_INSERT_ID is 0 then.
 */
export const CLAIM_OR_LOCK: string = `INSERT INTO onceward_operations (${FRESH_COLUMNS})
  SELECT ${FRESH_VALUES} FROM ${FRESH_ROWS} WHERE 1 = 1
  ON DUPLICATE KEY UPDATE digest = IF(LAST_INSERT_ID(0) = 0, onceward_operations.digest, onceward_operations.digest)`

/** Prolongs claims that still belong to their owners. */
export const RENEW: string = `UPDATE JSON_TABLE(${JSON_PARAMETER}, '$[*]' COLUMNS (
    digest VARCHAR(64) CHARACTER SET ascii PATH '$[0]',
    owner VARCHAR(255) CHARACTER SET utf8mb4 PATH '$[1]',
    fence BIGINT PATH '$[2]',
    lease_ms BIGINT PATH '$[3]')) AS j
  STRAIGHT_JOIN ${BY_DIGEST}
  SET o.lease_until = ${NOW_MS} + j.lease_ms
  WHERE o.state = 'running' AND o.owner = j.owner AND o.fence = j.fence`

/**
 * Ends operations that still belong to their owners: those in the simplest form, of a first attempt, without steps. Their
 * history follows from their other columns and stays null, and so does the detail of a plain value.
 */
export const COMPLETE: string = `UPDATE JSON_TABLE(${JSON_PARAMETER}, '$[*]' COLUMNS (
    digest VARCHAR(64) CHARACTER SET ascii PATH '$[0]',
    owner VARCHAR(255) CHARACTER SET utf8mb4 PATH '$[1]',
    fence BIGINT PATH '$[2]',
    retention_ms BIGINT PATH '$[3]',
    detail LONGTEXT CHARACTER SET ascii PATH '$[4]',
    start_at BIGINT PATH '$[5]',
    bytes BIGINT PATH '$[6]')) AS j
  STRAIGHT_JOIN ${BY_DIGEST}
  CROSS JOIN (SELECT ${NOW_MS} AS ms) AS t
  SET o.state = 'done', o.holds = 0, o.detail = j.detail, o.payload = IF(j.bytes IS NULL, NULL, SUBSTRING(?, j.start_at, j.bytes)),
    o.retention_ms = j.retention_ms, o.updated_at = t.ms, o.expires_at = t.ms + j.retention_ms
  WHERE o.state = 'running' AND o.owner = j.owner AND o.fence = j.fence AND o.detail IS NULL AND o.history IS NULL`

const WHOLE_ROWS = `JSON_TABLE(${JSON_PARAMETER}, '$[*]' COLUMNS (
    digest VARCHAR(64) CHARACTER SET ascii PATH '$[0]',
    scope TEXT CHARACTER SET utf8mb4 PATH '$[1]',
    k TEXT CHARACTER SET utf8mb4 PATH '$[2]',
    state VARCHAR(8) CHARACTER SET ascii PATH '$[3]',
    fingerprint VARCHAR(255) CHARACTER SET utf8mb4 PATH '$[4]',
    on_crash VARCHAR(8) CHARACTER SET ascii PATH '$[5]',
    holds TINYINT PATH '$[6]',
    owner VARCHAR(255) CHARACTER SET utf8mb4 PATH '$[7]',
    fence BIGINT PATH '$[8]',
    attempt BIGINT PATH '$[9]',
    created_at BIGINT PATH '$[10]',
    updated_at BIGINT PATH '$[11]',
    lease_until BIGINT PATH '$[12]',
    retention_ms BIGINT PATH '$[13]',
    expires_at BIGINT PATH '$[14]',
    asks BIGINT PATH '$[15]',
    next_ask_at BIGINT PATH '$[16]',
    duplicates BIGINT PATH '$[17]',
    detail LONGTEXT CHARACTER SET ascii PATH '$[18]',
    history MEDIUMTEXT CHARACTER SET ascii PATH '$[19]',
    start_at BIGINT PATH '$[20]',
    bytes BIGINT PATH '$[21]')) AS j`

/** Writes records over those that the transaction has locked. */
export const OVERWRITE: string = `UPDATE ${WHOLE_ROWS} STRAIGHT_JOIN ${BY_DIGEST}
  SET o.scope = j.scope, o.\`key\` = j.k, o.state = j.state, o.fingerprint = j.fingerprint, o.on_crash = j.on_crash,
    o.holds = j.holds, o.owner = j.owner, o.fence = j.fence, o.attempt = j.attempt, o.created_at = j.created_at,
    o.updated_at = j.updated_at, o.lease_until = j.lease_until, o.retention_ms = j.retention_ms,
    o.expires_at = j.expires_at, o.asks = j.asks, o.next_ask_at = j.next_ask_at, o.duplicates = j.duplicates,
    o.detail = j.detail, o.history = j.history, o.payload = IF(j.bytes IS NULL, NULL, SUBSTRING(?, j.start_at, j.bytes))`

/** Creates records; one that is there already fails it. The payload comes first among its parameters. */
export const CREATE: string = `INSERT INTO onceward_operations (${FRESH_COLUMNS})
  SELECT j.digest, j.scope, j.k, j.state, j.fingerprint, j.on_crash, j.holds, j.owner, j.fence, j.attempt, j.created_at,
    j.updated_at, j.lease_until, j.retention_ms, j.expires_at, j.asks, j.next_ask_at, j.duplicates, j.detail, j.history,
    IF(j.bytes IS NULL, NULL, SUBSTRING(?, j.start_at, j.bytes))
  FROM ${WHOLE_ROWS}`

/** Appends lines to the audit, in their order. */
export const WRITE_AUDIT: string = `INSERT INTO onceward_audit (digest, entry)
  SELECT j.digest, j.entry FROM JSON_TABLE(${JSON_PARAMETER}, '$[*]' COLUMNS (
    line FOR ORDINALITY,
    digest VARCHAR(64) CHARACTER SET ascii PATH '$[0]',
    entry MEDIUMTEXT CHARACTER SET ascii PATH '$[1]')) AS j ORDER BY j.line`
