import type { SqlValue } from '../sql/sql-session.ts'
import { type Adapter, can, noTransaction } from './adapted-session.ts'
import { readBytea } from './read-bytea.ts'

/** The part of a client of `pg` that is used. */
interface PgClient {
  query(config: {
    readonly text: string
    readonly values: readonly unknown[]
    readonly types: { getTypeParser(oid: number, format?: string): (value: string | Buffer) => unknown }
  }): Promise<{
    readonly rows: readonly Readonly<Record<string, unknown>>[]
    readonly rowCount: number | null
  }>
  /** Since pg 8.17: `I`, `T` or `E` as of the last statement that has ended. */
  getTransactionStatus?(): string | null
}

const BYTEA = 17

/** Values as text and bytes as bytes, whatever parsers the pool was given, and whether it asks for `binary` results. */
const types = {
  getTypeParser:
    (oid: number, format = 'text') =>
    (value: string | Buffer) => {
      if (oid === BYTEA) return format === 'text' ? readBytea(String(value)) : value
      // Text is the same in both formats, but comes as bytes in the other.
      return String(value)
    },
}

/** A client of `pg`, or what has its `query`: the server is asked whether a transaction is open. */
export const pgSession: Adapter = (handle, dialect) => {
  if (dialect !== 'postgres' || !can(handle, 'query')) return undefined
  if (can(handle, 'connect') && typeof handle['totalCount'] === 'number') {
    throw noTransaction(
      'a pool of pg',
      "take a client (`const client = await pool.connect()`), run `client.query('BEGIN')` and pass the client",
    )
  }
  const client = handle as unknown as PgClient
  const inTransaction = () => {
    const status = client.getTransactionStatus?.()
    return status === 'T' || status === 'E' ? true : status === 'I' ? false : undefined
  }
  return {
    dialect,
    // A BEGIN that was sent and not yet answered is not known here: only `true` is to be believed.
    isOpen: () => inTransaction() || undefined,
    async query(text, values) {
      const { rows, rowCount } = await client.query({ text, values: values.map(bound), types })
      const open = inTransaction()
      return { rows, affected: rowCount ?? 0, ...(open === undefined ? {} : { inTransaction: open }) }
    },
  }
}

function bound(value: SqlValue): unknown {
  return typeof value === 'bigint' ? String(value) : value
}
