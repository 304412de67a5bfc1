import { JSON_PARAMETER, NOW_MS, NOW_US } from '../../drivers/mysql/index.ts'

/**
 * The statements on records. Each but those for one alone takes its whole batch as one JSON text, whatever its size, so
 * that it is prepared once a connection; `payload` travels beside it as bytes. They are written in what MySQL 8.0 and
 * MariaDB 10.6 have in common, mean the same in every sql_mode, and hold no question mark but their parameters.
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

/** What a claim tells of its record, as expressions. */
interface FreshFields {
  readonly digest: string
  readonly scope: string
  readonly key: string
  readonly fingerprint: string
  readonly onCrash: string
  readonly holds: string
  readonly owner: string
  readonly leaseMs: string
  readonly retentionMs: string
  readonly detail: string
}

/** The columns of a fresh record, which begins at `us` in µs, and whose `fence` is that time. */
function freshValues(of: FreshFields, us: string, fence: string = us): string {
  return `${of.digest}, ${of.scope}, ${of.key}, 'running', ${of.fingerprint}, ${of.onCrash}, ${of.holds}, ${of.owner}, ${fence}, 1,
  ${us} DIV 1000, ${us} DIV 1000, ${us} DIV 1000 + ${of.leaseMs}, ${of.retentionMs}, NULL, 0, 0, 0, ${of.detail}, NULL, NULL`
}

const OF_ROW: FreshFields = {
  digest: 'j.digest',
  scope: 'j.scope',
  key: 'j.k',
  fingerprint: 'j.fingerprint',
  onCrash: 'j.on_crash',
  holds: "IF(j.on_crash = 'hold', 1, 0)",
  owner: 'j.owner',
  leaseMs: 'j.lease_ms',
  retentionMs: 'j.retention_ms',
  detail: 'j.detail',
}

/** Text that is sent as the bytes of its UTF-8, which mean the same whatever character set the connection has. */
const BYTES_OF_TEXT = 'CONVERT(? USING utf8mb4)'
const ASCII = 'CONVERT(? USING ascii)'
const WHOLE = 'CAST(? AS SIGNED)'

const OF_PARAMETERS: FreshFields = {
  digest: ASCII,
  scope: BYTES_OF_TEXT,
  key: BYTES_OF_TEXT,
  fingerprint: BYTES_OF_TEXT,
  onCrash: ASCII,
  holds: WHOLE,
  owner: BYTES_OF_TEXT,
  leaseMs: WHOLE,
  retentionMs: WHOLE,
  detail: ASCII,
}

const OF_ALIKE_ROW: FreshFields = {
  ...OF_PARAMETERS,
  digest: OF_ROW.digest,
  key: OF_ROW.key,
  fingerprint: OF_ROW.fingerprint,
  owner: OF_ROW.owner,
  detail: 'NULL',
}

const TIME = `(SELECT LAST_INSERT_ID(${NOW_US}) AS us) AS t`

const FRESH_ROWS = `JSON_TABLE(${JSON_PARAMETER}, '$[*]' COLUMNS (
    digest VARCHAR(64) CHARACTER SET ascii PATH '$[0]',
    scope TEXT CHARACTER SET utf8mb4 PATH '$[1]',
    k TEXT CHARACTER SET utf8mb4 PATH '$[2]',
    fingerprint VARCHAR(255) CHARACTER SET utf8mb4 PATH '$[3]',
    on_crash VARCHAR(8) CHARACTER SET ascii PATH '$[4]',
    owner VARCHAR(255) CHARACTER SET utf8mb4 PATH '$[5]',
    lease_ms BIGINT PATH '$[6]',
    retention_ms BIGINT PATH '$[7]',
    detail TEXT CHARACTER SET ascii PATH '$[8]')) AS j CROSS JOIN ${TIME}`

/** Fewer columns: for each the server walks through its row. */
const ALIKE_ROWS = `JSON_TABLE(${JSON_PARAMETER}, '$[*]' COLUMNS (
    digest VARCHAR(64) CHARACTER SET ascii PATH '$[0]',
    k TEXT CHARACTER SET utf8mb4 PATH '$[1]',
    fingerprint VARCHAR(255) CHARACTER SET utf8mb4 PATH '$[2]',
    owner VARCHAR(255) CHARACTER SET utf8mb4 PATH '$[3]')) AS j CROSS JOIN ${TIME}`

const IN_TIME = `SYSDATE(6) < NOW(6) + INTERVAL ${CREATION_SLACK_US} MICROSECOND`

/**
 * Grants claims on operations that nobody has claimed: creates their records, all with the time at which the statement
 * began, and gives that time to LAST_INSERT_ID. Records that are there already are left alone, and so are those whose
 * turn comes late because another transaction held up the statement: their fence could be smaller than one that was
 * granted, ended and purged meanwhile. The purge keeps records for as long.
 *
 * Errors in the data would be warnings only; there are none, because all of it was checked before.
 */
export const CLAIM_FRESH: string = `INSERT IGNORE INTO onceward_operations (${FRESH_COLUMNS})
  SELECT ${freshValues(OF_ROW, 't.us')} FROM ${FRESH_ROWS} WHERE ${IN_TIME}`

/** The same for claims that differ in digest, key, fingerprint and owner only. What they have in common comes first. */
export const CLAIM_ALIKE: string = `INSERT IGNORE INTO onceward_operations (${FRESH_COLUMNS})
  SELECT ${freshValues(OF_ALIKE_ROW, 't.us')} FROM ${ALIKE_ROWS} WHERE ${IN_TIME}`

/** The same for one claim: a table of JSON would cost the server as much as all the rest. */
export const CLAIM_ALONE: string = `INSERT IGNORE INTO onceward_operations (${FRESH_COLUMNS})
  SELECT ${freshValues(OF_PARAMETERS, NOW_US, `LAST_INSERT_ID(${NOW_US})`)} FROM DUAL WHERE ${IN_TIME}`

/**
 * The same for one claim inside a transaction: a record that is there already, or that another transaction is about to
 * commit, is waited for and locked, and LAST_INSERT_ID is 0 then.
 */
export const CLAIM_OR_LOCK: string = `INSERT INTO onceward_operations (${FRESH_COLUMNS})
  SELECT ${freshValues(OF_ROW, 't.us')} FROM ${FRESH_ROWS} WHERE 1 = 1
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

/** The piece of the bytes that belongs to a row. */
const PAYLOAD = 'IF(j.bytes IS NULL, NULL, SUBSTRING(?, j.start_at, j.bytes))'

/** Whether an operation still belongs to its owner, and is in the simplest form: of a first attempt, without steps. */
const ENDABLE = `onceward_operations.state = 'running' AND onceward_operations.history IS NULL
    AND onceward_operations.detail IS NULL AND onceward_operations.owner = j.owner AND onceward_operations.fence = j.fence`

const ifEndable = (column: string, value: string) =>
  `${column} = IF(${ENDABLE}, ${value}, onceward_operations.${column})`

/**
 * Ends operations with plain values that still belong to their owners: those in the simplest form. Their history and
 * detail follow from their other columns and stay null. Each counts as 2 rows, anything else as less.
 *
 * An UPDATE of joined tables would put the new values, which have no bound, into a table on disk first. This one meets the
 * rows that it would create, and changes those that may be ended; the state changes last, so that each column sees whether
 * it may. It finds and locks them first: for a record that is gone it would create one, and wait for whoever has locked
 * the gap. What it finds it keeps in a table in memory, as long as no column of `j` is unbounded. None of the values that it
 * would create is empty: some modes of the server make null of that, and refuse it.
 */
export const COMPLETE: string = `INSERT INTO onceward_operations (${FRESH_COLUMNS})
  SELECT j.digest, '-', '-', 'released', NULL, 'rerun', 0, NULL, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL
  FROM JSON_TABLE(${JSON_PARAMETER}, '$[*]' COLUMNS (
    digest VARCHAR(64) CHARACTER SET ascii PATH '$[0]',
    owner VARCHAR(255) CHARACTER SET utf8mb4 PATH '$[1]',
    fence BIGINT PATH '$[2]',
    retention_ms BIGINT PATH '$[3]',
    start_at BIGINT PATH '$[4]',
    bytes BIGINT PATH '$[5]')) AS j
  STRAIGHT_JOIN ${BY_DIGEST}
  CROSS JOIN (SELECT ${NOW_MS} AS ms) AS t WHERE 1 = 1 FOR UPDATE
  ON DUPLICATE KEY UPDATE ${[
    ifEndable('holds', '0'),
    ifEndable('payload', PAYLOAD),
    ifEndable('retention_ms', 'j.retention_ms'),
    ifEndable('updated_at', 't.ms'),
    ifEndable('expires_at', 't.ms + j.retention_ms'),
    ifEndable('state', "'done'"),
  ].join(', ')}`

/** The same for one operation with any outcome, which counts as 1 row. */
export const COMPLETE_ALONE: string = `UPDATE onceward_operations AS o FORCE INDEX (PRIMARY)
  SET o.state = 'done', o.holds = 0, o.detail = ${ASCII}, o.payload = ?, o.retention_ms = ${WHOLE}, o.updated_at = ${NOW_MS},
    o.expires_at = ${NOW_MS} + ${WHOLE}
  WHERE o.digest = ${ASCII} AND o.owner = ${BYTES_OF_TEXT} AND o.fence = ${WHOLE} AND o.state = 'running'
    AND o.detail IS NULL AND o.history IS NULL`

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

const WHOLE_VALUES = `j.digest, j.scope, j.k, j.state, j.fingerprint, j.on_crash, j.holds, j.owner, j.fence, j.attempt,
  j.created_at, j.updated_at, j.lease_until, j.retention_ms, j.expires_at, j.asks, j.next_ask_at, j.duplicates, j.detail,
  j.history`

/** Writes records over those that the transaction has locked, and so are there; an UPDATE would be slow as for `COMPLETE`. */
export const OVERWRITE: string = `INSERT INTO onceward_operations (${FRESH_COLUMNS})
  SELECT ${WHOLE_VALUES}, NULL FROM ${WHOLE_ROWS} WHERE 1 = 1
  ON DUPLICATE KEY UPDATE scope = j.scope, \`key\` = j.k, state = j.state, fingerprint = j.fingerprint,
    on_crash = j.on_crash, holds = j.holds, owner = j.owner, fence = j.fence, attempt = j.attempt,
    created_at = j.created_at, updated_at = j.updated_at, lease_until = j.lease_until, retention_ms = j.retention_ms,
    expires_at = j.expires_at, asks = j.asks, next_ask_at = j.next_ask_at, duplicates = j.duplicates,
    detail = j.detail, history = j.history, payload = ${PAYLOAD}`

/** Creates records; one that is there already fails it. The payload comes first among its parameters. */
export const CREATE: string = `INSERT INTO onceward_operations (${FRESH_COLUMNS})
  SELECT ${WHOLE_VALUES}, ${PAYLOAD} FROM ${WHOLE_ROWS}`

/** Appends lines to the audit, in their order. */
export const WRITE_AUDIT: string = `INSERT INTO onceward_audit (digest, entry)
  SELECT j.digest, j.entry FROM JSON_TABLE(${JSON_PARAMETER}, '$[*]' COLUMNS (
    line FOR ORDINALITY,
    digest VARCHAR(64) CHARACTER SET ascii PATH '$[0]',
    entry MEDIUMTEXT CHARACTER SET ascii PATH '$[1]')) AS j ORDER BY j.line`
