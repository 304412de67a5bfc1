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
    }>
  }
  /** Only of a controlled transaction. */
  readonly isCommitted?: boolean
  readonly isRolledBack?: boolean
}

/** A transaction of Kysely. Its plugins do not see our statements. */
export const kyselySession: Adapter = (handle, dialect) => {
  if (typeof handle === 'function' || !can(handle, 'getExecutor', 'withoutPlugins')) return undefined
  if (handle['isTransaction'] !== true) {
    throw noTransaction(
      'a Kysely instance',
      'pass the `trx` that `db.transaction().execute(async (trx) => …)` hands you',
    )
  }
  const transaction = handle as unknown as KyselyTransaction
  const plain = transaction.withoutPlugins()
  return {
    dialect,
    isOpen: () => !(transaction.isCommitted || transaction.isRolledBack),
    async query(text, values) {
      const [sql, parameters] = statement(dialect, text, values)
      const query = { kind: 'RawNode', sqlFragments: [sql] } as const
      const queryId = { queryId: 'onceward' }
      const { rows, numAffectedRows } = await plain.executeQuery({ sql, parameters, query, queryId })
      return { rows, affected: Number(numAffectedRows ?? rows.length) }
    },
  }
}

/** On MySQL, Kysely writes the values into the statement. */
function statement(
  dialect: SqlDialect,
  text: string,
  values: readonly SqlValue[],
): readonly [string, readonly unknown[]] {
  return dialect === 'mysql' ? inlineSafe(text, values) : [text, values]
}
