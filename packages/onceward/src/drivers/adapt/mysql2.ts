import type { SqlResult, SqlValue } from '../sql/sql-session.ts'
import { type Adapter, asHandle, can, type Handle, noTransaction } from './adapted-session.ts'

/** The part of a connection of `mysql2` that is used. */
interface MysqlConnection {
  query(options: StatementOptions, done: Done): unknown
  execute(options: StatementOptions, done: Done): unknown
}

type Done = (error: unknown, answer: unknown) => void

interface StatementOptions {
  readonly sql: string
  readonly values?: readonly unknown[]
}

interface OkPacket {
  readonly affectedRows?: number
  readonly insertId?: number | string
  readonly serverStatus?: number
}

/** Result shapes of our own, whatever the pool was given. */
const SHAPE = {
  rowsAsArray: false,
  nestTables: false,
  namedPlaceholders: false,
  typeCast: (_field: unknown, next: () => unknown) => next(),
  supportBigNumbers: true,
  bigNumberStrings: false,
  decimalNumbers: false,
} as const

/** Flags of the OK packet: a transaction is open; every statement commits by itself. */
const IN_TRANSACTION = 1
const AUTOCOMMIT = 2

/** A connection of `mysql2`, of its promise or its callback interface. */
export const mysql2Session: Adapter = (handle, dialect) => {
  if (!can(handle, 'query', 'execute')) return undefined
  if (dialect !== 'mysql') throw new TypeError('this store is on PostgreSQL, and the handle is one of mysql2')
  if (can(handle, 'getConnection')) {
    throw noTransaction(
      'a pool of mysql2',
      'take a connection (`const connection = await pool.getConnection()`), run `connection.beginTransaction()` and pass the connection',
    )
  }
  const connection = callbackInterface(handle)
  return {
    dialect,
    query: (text, values) =>
      new Promise((resolve, reject) => {
        const done: Done = (error, answer) => (error ? reject(error) : resolve(resultOf(answer)))
        // Without values there is nothing to bind, and not every statement can be prepared (SAVEPOINT, for one).
        if (values.length === 0) connection.query({ ...SHAPE, sql: text }, done)
        else connection.execute({ ...SHAPE, sql: text, values: values.map(bound) }, done)
      }),
  }
}

/** The promise interface wraps a connection that it calls `connection`. */
function callbackInterface(handle: Handle): MysqlConnection {
  const inner = asHandle(handle['connection'])
  return (inner && can(inner, 'query', 'execute') ? inner : handle) as unknown as MysqlConnection
}

function bound(value: SqlValue): unknown {
  if (value instanceof Uint8Array && !Buffer.isBuffer(value)) {
    return Buffer.from(value.buffer, value.byteOffset, value.byteLength)
  }
  return value
}

function resultOf(answer: unknown): SqlResult {
  if (Array.isArray(answer)) return { rows: answer as SqlResult['rows'], affected: 0 }
  const { affectedRows = 0, insertId = 0, serverStatus = AUTOCOMMIT } = answer as OkPacket
  const inTransaction = (serverStatus & IN_TRANSACTION) !== 0 || (serverStatus & AUTOCOMMIT) === 0
  return { rows: [], affected: Number(affectedRows), insertId, inTransaction }
}
