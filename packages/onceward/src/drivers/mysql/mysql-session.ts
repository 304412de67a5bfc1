import type { SqlResult, SqlSession, SqlValue } from '../sql/index.ts'
import type { MysqlCallbackConnection, MysqlConnection, MysqlStatement } from './mysql-handle.ts'

/** A session that also tells what `LAST_INSERT_ID(…)` was set to. */
export interface MysqlSession extends SqlSession {
  readonly dialect: 'mysql'
  query(text: string, values?: readonly SqlValue[]): Promise<MysqlResult>
}

/** What a statement answers. */
export interface MysqlResult extends SqlResult {
  /** What the statement has given to `LAST_INSERT_ID(…)`, 0 when nothing. */
  readonly insertId: number
}

/** Shapes of our own, whatever the pool was given. */
const SHAPE = {
  rowsAsArray: false,
  nestTables: false,
  namedPlaceholders: false,
  supportBigNumbers: true,
  bigNumberStrings: false,
} as const

/** Flags of an OK packet: a transaction is open; every statement commits by itself. */
const IN_TRANSACTION = 1
const AUTOCOMMIT = 2

/**
 * Runs statements on one connection. Values are bound on the server and never written into the text, so that no mode of
 * the server changes what they mean; a statement without values is sent as it is.
 */
export function mysqlSession(connection: MysqlConnection): MysqlSession {
  const shape = shapeFor(connection)
  const send = sender(connection)
  return {
    dialect: 'mysql',
    query: (text, values = []) =>
      values.length === 0
        ? send('query', { ...shape, sql: text })
        : send('execute', { ...shape, sql: text, values: values.map(bound) }),
  }
}

type Send = (how: 'query' | 'execute', statement: MysqlStatement) => Promise<MysqlResult>

/** By callbacks where there are any: the promise interface notes the stack of every call, which costs more than all of this. */
function sender(connection: MysqlConnection): Send {
  const inner = callbacksOf(connection)
  if (typeof inner?.query !== 'function' || typeof inner.execute !== 'function')
    return async (how, statement) => resultOf((await connection[how](statement))[0])
  return async (how, statement) => {
    const answer = await new Promise<unknown>((resolve, reject) => {
      inner[how]?.(statement, (error, answered) => (error ? reject(error) : resolve(answered)))
    })
    // Not in the callback: what threw there would be nobody's to catch.
    return resultOf(answer)
  }
}

function callbacksOf({ connection }: MysqlConnection): MysqlCallbackConnection | undefined {
  return connection as MysqlCallbackConnection | undefined
}

/** A `typeCast` of the pool applies to every statement unless the statement has one of its own, which costs time. */
function shapeFor(connection: MysqlConnection): object {
  const typeCast = callbacksOf(connection)?.config?.typeCast
  return typeCast === undefined || typeCast === true ? SHAPE : { ...SHAPE, typeCast: plainly }
}

function plainly(_field: unknown, next: () => unknown): unknown {
  return next()
}

function bound(value: SqlValue): unknown {
  return value instanceof Uint8Array && !Buffer.isBuffer(value)
    ? Buffer.from(value.buffer, value.byteOffset, value.byteLength)
    : value
}

function resultOf(answer: unknown): MysqlResult {
  if (Array.isArray(answer)) return { rows: answer as SqlResult['rows'], affected: 0, insertId: 0 }
  const {
    affectedRows,
    insertId,
    serverStatus = AUTOCOMMIT,
  } = answer as {
    readonly affectedRows: number
    readonly insertId: number | string | bigint
    readonly serverStatus?: number
  }
  const inTransaction = (serverStatus & IN_TRANSACTION) !== 0 || (serverStatus & AUTOCOMMIT) === 0
  return { rows: [], affected: affectedRows, insertId: Number(insertId), inTransaction }
}
