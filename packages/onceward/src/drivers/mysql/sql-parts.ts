/** The time of the server in µs since the epoch, when the statement began. Independent of time zones. */
export const NOW_US = "TIMESTAMPDIFF(MICROSECOND, '1970-01-01 00:00:00', UTC_TIMESTAMP(6))"

/** The same, in whole ms. */
export const NOW_MS: string = `${NOW_US} DIV 1000`

/** The time of the server at this moment, in ms. Run it when the locks are held: a statement's own time is its beginning. */
export const READ_NOW: string = `SELECT ${NOW_MS} AS now`

/** JSON, whatever the character set of the connection: in it MariaDB cannot read escapes of what it does not have. */
export const JSON_PARAMETER = 'CONVERT(? USING utf8mb4)'
