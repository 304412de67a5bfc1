import { answerWithin } from '../../core/answer-within.ts'
import { nextTurn } from '../../core/next-turn.ts'
import {
  CommitFailed,
  endedItself,
  type PgAnswer,
  type PgDriver,
  type PgDriverOptions,
  type PgStatement,
  type PgTransaction,
  type PgValue,
  type TextRow,
} from './pg-driver.ts'
import { isUnknownStatement } from './pg-errors.ts'
import { whileConnected } from './while-connected.ts'

interface PorsagerQuery extends PromiseLike<readonly unknown[] & { readonly count?: number }> {
  raw(): PromiseLike<readonly (readonly (Uint8Array | null)[])[] & { readonly count?: number }>
}

interface Runs {
  unsafe(text: string, values?: readonly unknown[], options?: object): PorsagerQuery
}

/** The part of a root `sql` of the package `postgres` that is used. */
export interface PorsagerHandle extends Runs {
  begin(options: string, body: (tx: object) => Promise<unknown>): Promise<unknown>
  listen(channel: string, onPayload: (payload: string) => void): Promise<{ unlisten(): Promise<unknown> }>
  end(): Promise<void>
  readonly options: object
}

/** The options that are looked at. */
interface PorsagerOptions {
  readonly transform?: { readonly row?: { readonly from?: unknown } }
}

/** Tells whether `value` looks like a root `sql` of the package `postgres`. */
export function isPorsager(value: unknown): value is PorsagerHandle {
  if (typeof value !== 'function') return false
  const { unsafe, begin, listen, end } = value as Partial<PorsagerHandle>
  return [unsafe, begin, listen, end].every((method) => typeof method === 'function')
}

/** Drives a root `sql` of the package `postgres`. */
export function porsager(sql: PorsagerHandle, options: PgDriverOptions): PgDriver {
  const { queryTimeoutMs } = options
  if ((sql.options as PorsagerOptions).transform?.row?.from) {
    throw new TypeError(
      `${options.user ?? 'postgresStore'} was given a \`sql\` that transforms rows, also those of ours; give it one of its own without \`transform.row\``,
    )
  }
  let prepare = options.prepare && (sql.options as { prepare?: boolean }).prepare !== false

  const bounded = <T>(answer: PromiseLike<T>): Promise<T> =>
    answerWithin(options, Promise.resolve(answer), queryTimeoutMs)
  const runOn = async (
    on: Runs,
    { text, name }: PgStatement,
    values: readonly PgValue[],
  ): Promise<PgAnswer> => {
    const query = on.unsafe(text, values, { prepare: prepare && name !== undefined })
    const rows = await bounded(query.raw())
    return { rows: rows.map(textRow), affected: rows.count ?? 0 }
  }
  const run = async (statement: PgStatement, values: readonly PgValue[]): Promise<PgAnswer> => {
    const prepared = prepare
    try {
      return await runOn(sql, statement, values)
    } catch (error) {
      if (!prepared || !isUnknownStatement(error)) throw error
    }
    // A pooler that keeps no prepared statements. Nothing was run yet.
    prepare = false
    return run(statement, values)
  }

  const transactionOn = (handle: object): PgTransaction => ({
    handle,
    run: (statement, values) => runOn(handle as Runs & object, statement, values),
    async script(text) {
      await bounded((handle as Runs & object).unsafe(text))
    },
  })
  const startOf = async (tx: Runs): Promise<string> => {
    const rows = await bounded(tx.unsafe('SELECT transaction_timestamp()::text AS started').raw())
    return String(rows[0]?.[0])
  }
  /** Bounds what the driver does before and after the body, and never the body. */
  const inTransaction = async <T>(body: (tx: PgTransaction) => Promise<T>): Promise<T> => {
    const began = signal()
    const left = signal()
    let late = false
    let lost: unknown
    let ended: { readonly value: T } | { readonly error: unknown } | undefined
    const whole = sql.begin('isolation level read committed', async (handle) => {
      if (late) throw new Error('nobody waits for this transaction any more')
      began.fire()
      try {
        const tx = whileConnected(
          handle as Runs & object,
          () => lost,
          () => prepare,
        )
        // The driver does not tell whether its transaction is still open: its start would be another one then.
        const startedAt = startOf(tx)
        startedAt.catch(() => {})
        const value = await body(transactionOn(tx))
        if ((await startOf(tx)) !== (await startedAt)) throw endedItself()
        ended = { value }
      } catch (error) {
        ended = { error }
        // A lost connection fails the statement first, and is told as lost a moment later.
        await nextTurn()
        throw error
      } finally {
        left.fire()
        // The package would send a COMMIT or ROLLBACK now. Nobody waits for this any more.
        if (lost !== undefined) await new Promise<never>(() => {})
      }
    })
    whole.catch((error: unknown) => {
      lost = error ?? new Error('the connection was lost')
    })
    try {
      await bounded(Promise.race([began.fired, whole]))
      await Promise.race([left.fired, whole])
      await bounded(whole)
    } catch (error) {
      late = true
      whole.catch(() => {})
      if (ended && 'error' in ended) throw ended.error
      throw ended ? new CommitFailed(error) : error
    }
    if (ended && 'value' in ended) return ended.value
    throw new TypeError('the transaction ended before its body')
  }

  return {
    where: whereIs(sql),
    run,
    async transaction(body) {
      const prepared = prepare
      try {
        return await inTransaction(body)
      } catch (error) {
        if (!prepared || error instanceof CommitFailed || !isUnknownStatement(error)) throw error
      }
      // A pooler that keeps no prepared statements. Everything was rolled back.
      prepare = false
      return inTransaction(body)
    },
    async listen({ channel, onPayload }) {
      const { unlisten } = await bounded(sql.listen(channel, onPayload))
      // The driver connects anew by itself when the connection is lost.
      return {
        async close() {
          // A server that stands still never confirms it.
          await bounded(unlisten()).catch(() => {})
        },
      }
    },
  }
}

function signal(): { readonly fired: Promise<void>; fire(): void } {
  let fire = () => {}
  const fired = new Promise<void>((resolve) => {
    fire = resolve
  })
  return { fired, fire: () => fire() }
}

function textRow(row: readonly (Uint8Array | null)[]): TextRow {
  return row.map((value) => (value === null ? null : (value as Buffer).toString('utf8')))
}

function whereIs({ options }: PorsagerHandle): string {
  const { host, port, database } = options as { host?: unknown; port?: unknown; database?: unknown }
  return `PostgreSQL ${database} at ${first(host)}:${first(port)}`
}

function first(value: unknown): unknown {
  return Array.isArray(value) ? value[0] : value
}
