import type { SqlDialect, SqlValue } from '../sql/sql-session.ts'
import { type Adapter, can, noTransaction } from './adapted-session.ts'
import { inlineSafe } from './inline-safe.ts'

/** The part of a Kysely transaction that is used. */
interface KyselyTransaction {
  withoutPlugins(): {
    executeQuery(query: {
      readonly sql: string
      readonly parameters: readonly unknown[]
      readonly query: { readonly kind: 'RawNode'; readonly sqlFragments: readonly string[] }
      readonly queryId: { readonly queryId: string }
    }): Promise<{
      readonly rows: readonly Readonly<Record<string, unknown>>[]
      readonly numAffectedRows?: bigint
      readonly insertId?: bigint
    }>
  }
  /** Only of a controlled transaction. */
  readonly isCommitted?: boolean
  readonly isRolledBack?: boolean
}

const MEND = 'pass the `trx` that `db.transaction().execute(async (trx) => …)` hands you'

/** A transaction of Kysely. Its plugins do not see our statements. */
export const kyselySession: Adapter = (handle, dialect) => {
  if (typeof handle === 'function' || !can(handle, 'getExecutor', 'withoutPlugins')) return undefined
  if (handle['isTransaction'] !== true) {
    throw noTransaction('a Kysely instance', MEND)
  }
  const transaction = handle as unknown as KyselyTransaction
  const plain = transaction.withoutPlugins()
  return {
    dialect,
    isOpen: () => (transaction.isCommitted || transaction.isRolledBack ? false : undefined),
    async query(text, values) {
      const [sql, parameters] = statement(dialect, text, values)
      const query = { kind: 'RawNode', sqlFragments: [sql] } as const
      const queryId = { queryId: 'onceward' }
      // It throws some errors at once, before there is a promise.
      const run = async () => plain.executeQuery({ sql, parameters, query, queryId })
      const { rows, numAffectedRows, insertId = 0n } = await run().catch(orEnded)
      return { rows, affected: Number(numAffectedRows ?? rows.length), insertId }
    },
  }
}

/** Kysely itself refuses a transaction that has ended, by an error without a code. */
function orEnded(error: unknown): never {
  const ended = error instanceof Error && /already (?:committed|rolled back)/.test(error.message)
  throw ended ? noTransaction('this Kysely transaction any more', MEND, error) : error
}

/** On MySQL, Kysely writes the values into the statement. */
function statement(
  dialect: SqlDialect,
  text: string,
  values: readonly SqlValue[],
): readonly [string, readonly unknown[]] {
  return dialect === 'mysql' ? inlineSafe(text, values) : [text, values]
}
