import type { SqlSession, SqlValue } from '../sql/sql-session.ts'
import { type Adapter, can, noTransaction } from './adapted-session.ts'
import { readBytea } from './read-bytea.ts'
import { snakeName } from './snake-name.ts'

/** The part of a `sql` of `postgres` that is used. */
interface PostgresSql {
  unsafe(
    text: string,
    values: SqlValue[],
    options: { readonly prepare: boolean },
  ): { raw(): Promise<RawResult> }
  /** Only on the `sql` of a transaction. */
  savepoint?<T>(body: (sql: PostgresSql) => Promise<T>): Promise<T>
}

/** Rows as the server sent them: neither parsers nor transforms of the user have touched the values. */
type RawResult = readonly (readonly (Buffer | null)[])[] & {
  readonly count: number | null
  readonly columns?: readonly { readonly name: string; readonly type: number }[] | null
}

const BYTEA = 17

/** The `sql` that `sql.begin` hands out, or a reserved one on which BEGIN was run. */
export const postgresJsSession: Adapter = (handle, dialect) => {
  if (dialect !== 'postgres' || typeof handle !== 'function' || !can(handle, 'unsafe')) return undefined
  const sql = handle as unknown as PostgresSql
  if (can(handle, 'begin')) {
    throw noTransaction(
      'a root `sql` of postgres',
      'pass the `sql` that `sql.begin(async (sql) => …)` hands you',
    )
  }
  const { savepoint } = sql
  if (typeof savepoint !== 'function') return sessionOn(sql)
  // A failed statement ends the transaction of this package, unless it was run in a scope that `savepoint` has opened.
  return { ...sessionOn(sql), savepoint: (body) => savepoint((inner) => body(sessionOn(inner))) }
}

function sessionOn(sql: PostgresSql): SqlSession {
  return {
    dialect: 'postgres',
    async query(text, values) {
      // Named statements save a round trip; `prepare: false` of the connection still wins.
      const answer = await sql.unsafe(text, [...values], { prepare: values.length > 0 }).raw()
      const columns = (answer.columns ?? []).map(({ name, type }) => ({ name: snakeName(name), type }))
      const rows = answer.map((row) =>
        Object.fromEntries(columns.map(({ name, type }, at) => [name, readValue(row[at] ?? null, type)])),
      )
      return { rows, affected: answer.count ?? 0 }
    },
  }
}

function readValue(bytes: Buffer | null, type: number): unknown {
  if (bytes === null) return null
  const text = Buffer.from(bytes).toString('utf8')
  return type === BYTEA ? readBytea(text) : text
}
