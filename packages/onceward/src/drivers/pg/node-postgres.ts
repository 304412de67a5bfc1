import { answerWithin } from '../../core/answer-within.ts'
import {
  CommitFailed,
  endedItself,
  type Listening,
  leftOpen,
  type PgAnswer,
  type PgDriver,
  type PgDriverOptions,
  type PgListener,
  type PgStatement,
  type PgTransaction,
  type PgValue,
  rolledBack,
  type TextRow,
} from './pg-driver.ts'
import { isUnknownStatement } from './pg-errors.ts'
import { type Emitter, serverMessages } from './server-messages.ts'

/** A `Pool` of `pg`, by the least that tells it from a client. */
export interface PgPoolHandle {
  connect(): Promise<object>
  readonly totalCount: number
}

/** The part of a client of `pg` that is used. */
interface Client extends Emitter {
  query(config: object): Promise<{
    readonly rows: readonly unknown[]
    readonly rowCount: number | null
    readonly command?: string
  }>
  /** Where the client is not the native one. */
  readonly connection?: Partial<Emitter>
  /** Since pg 8.17: `T` inside a transaction, `E` inside a failed one, `I` outside. */
  getTransactionStatus?(): string | null | undefined
  release?(destroy?: boolean): void
  connect?(): Promise<unknown>
  end?(): Promise<void>
  unref?(): void
}

/** The part of a `Pool` of `pg` that is used. */
interface Pool extends Emitter {
  connect(): Promise<Client>
  listenerCount?(event: string): number
  readonly options?: object
  readonly Client?: new (options: object) => Client
}

/** Tells whether `value` looks like a `Pool` of `pg`. */
export function isPgPool(value: unknown): value is PgPoolHandle {
  if (typeof value !== 'object' || value === null) return false
  const { connect, on, totalCount } = value as Partial<PgPoolHandle & Emitter>
  return typeof connect === 'function' && typeof on === 'function' && typeof totalCount === 'number'
}

/** So many connections in a row that come with an open transaction are bad luck; more are a habit. */
const LEFT_OPEN_TRIES = 5

/** Leaves every value as the text that the server sent, whatever type parsers the user has set. */
const AS_TEXT = { getTypeParser: () => (value: unknown) => value }

/** Drives a `Pool` of `pg`. */
export function nodePostgres(given: PgPoolHandle, options: PgDriverOptions): PgDriver {
  const pool = given as unknown as Pool
  const { queryTimeoutMs } = options
  // A pool tells of broken idle connections by an event that ends the process when nobody listens.
  if (pool.listenerCount?.('error') === 0) pool.on('error', ignore)
  // Between its connecting and our taking it a client has no listener, and a server that dies just then ends the process.
  pool.on('connect', (client: Client) => void client.on('error', ignore))
  let prepare = options.prepare

  const take = async (): Promise<Client> => {
    const pending = pool.connect()
    try {
      const client = await answerWithin(options, pending, queryTimeoutMs)
      client.on('error', ignore)
      return client
    } catch (error) {
      // One that comes too late goes back.
      pending.then((client) => client.release?.()).catch(ignore)
      throw error
    }
  }
  const give = (client: Client, broken: boolean) => {
    client.removeListener('error', ignore)
    client.release?.(broken)
  }
  const runOn = async (
    client: Client,
    { text, name }: PgStatement,
    values: readonly PgValue[],
  ): Promise<PgAnswer> => {
    const config = { text, values, rowMode: 'array', types: AS_TEXT }
    const named = prepare && name !== undefined
    const answer = client.query(named ? { ...config, name } : config)
    const { rows, rowCount } = await answerWithin(options, answer, queryTimeoutMs)
    return { rows: rows as readonly TextRow[], affected: rowCount ?? 0 }
  }
  const run = async (
    statement: PgStatement,
    values: readonly PgValue[],
    tries: number = LEFT_OPEN_TRIES,
  ): Promise<PgAnswer> => {
    const client = await take()
    const prepared = prepare
    let broken = true
    try {
      const answer = await runOn(client, statement, values)
      broken = isLeftOpen(client)
      if (!broken) return answer
    } catch (error) {
      // A server that has answered leaves a connection that is in order.
      broken = !isServerError(error) || isLeftOpen(client)
      if (!isLeftOpen(client) && !(prepared && isUnknownStatement(error))) throw error
    } finally {
      give(client, broken)
    }
    if (broken) {
      // Somebody has left a transaction open on it: what has run went with the connection.
      if (tries <= 1) throw leftOpen(whereIs(pool))
      return run(statement, values, tries - 1)
    }
    // A pooler that keeps no prepared statements. Nothing was run yet.
    prepare = false
    return run(statement, values, tries)
  }

  return {
    where: whereIs(pool),
    run: (statement, values) => run(statement, values),
    async transaction(body) {
      const prepared = prepare
      try {
        return await transact(body)
      } catch (error) {
        if (!prepared || error instanceof CommitFailed || !isUnknownStatement(error)) throw error
      }
      // As above, and everything was rolled back.
      prepare = false
      return transact(body)
    },
    listen: (listening) => listen(pool, listening, options),
  }

  async function transact<T>(body: (tx: PgTransaction) => Promise<T>): Promise<T> {
    const client = await take()
    const heard = serverMessages(client.connection)
    let broken = true
    try {
      await answerWithin(
        options,
        client.query({ text: 'BEGIN ISOLATION LEVEL READ COMMITTED' }),
        queryTimeoutMs,
      )
      const value = await orRollback(client, () => body(transactionOn(client)))
      const status = client.getTransactionStatus?.()
      if (status === 'I' || heard.ended()) {
        // Another transaction that the body has begun goes with the connection.
        broken = status !== 'I'
        throw endedItself()
      }
      await commit(client)
      broken = false
      return value
    } catch (error) {
      broken &&= !(error instanceof Aborted)
      if (!(error instanceof Aborted)) throw error
      // The body has swallowed that the server has undone its transaction for the sake of another one.
      throw error.isSwallowed ? (heard.conflict() ?? error.cause) : error.cause
    } finally {
      heard.stop()
      give(client, broken)
    }
  }

  function transactionOn(client: Client): PgTransaction {
    return {
      handle: client,
      run: (statement, values) => runOn(client, statement, values),
      async script(text) {
        await answerWithin(options, client.query({ text }), queryTimeoutMs)
      },
    }
  }
  async function commit(client: Client): Promise<void> {
    let command: string | undefined
    try {
      ;({ command } = await answerWithin(options, client.query({ text: 'COMMIT' }), queryTimeoutMs))
    } catch (error) {
      throw new CommitFailed(error)
    }
    // The server's answer to the COMMIT of a transaction in which something had failed.
    if (command === 'ROLLBACK') throw new Aborted(rolledBack(whereIs(pool)), true)
  }
  async function orRollback<T>(client: Client, body: () => Promise<T>): Promise<T> {
    try {
      return await body()
    } catch (error) {
      try {
        await answerWithin(options, client.query({ text: 'ROLLBACK' }), queryTimeoutMs)
      } catch {
        // The connection is gone, and the transaction with it.
        throw error
      }
      throw new Aborted(error)
    }
  }
}

/** Rolled back on a connection that is in order. */
class Aborted extends Error {
  /** Whether the body has ended well all the same. */
  readonly isSwallowed: boolean

  constructor(cause: unknown, isSwallowed = false) {
    super('rolled back', { cause })
    this.isSwallowed = isSwallowed
  }
}

async function listen(
  pool: Pool,
  { channel, onPayload, onLost }: Listening,
  options: PgDriverOptions,
): Promise<PgListener> {
  const { Client } = pool
  if (Client === undefined) throw new TypeError('the pool does not tell its Client')
  const client = new Client(pool.options ?? {})
  let closed = false
  const end = async () => {
    closed = true
    // A server that stands still never confirms the end.
    await answerWithin(options, Promise.resolve(client.end?.()), options.queryTimeoutMs).catch(ignore)
  }
  client.on('error', ignore)
  client.on('end', () => {
    if (!closed) onLost()
  })
  client.on('notification', ({ payload }: { payload?: string }) => onPayload(payload ?? ''))
  try {
    await answerWithin(options, Promise.resolve(client.connect?.()), options.queryTimeoutMs)
    // The channel is a fixed word with a checked schema.
    await answerWithin(options, client.query({ text: `LISTEN "${channel}"` }), options.queryTimeoutMs)
  } catch (error) {
    await end()
    throw error
  }
  // Waiting for a wake must not keep a process alive that has nothing else to do.
  client.unref?.()
  return { close: end }
}

/** Whether a transaction is open after a statement that was to commit by itself. Older clients do not tell. */
function isLeftOpen(client: Client): boolean {
  const status = client.getTransactionStatus?.()
  return status === 'T' || status === 'E'
}

function isServerError(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'severity' in error && error.severity === 'ERROR'
}

/** Names the database of a pool, without user and password. */
function whereIs({ options = {} }: Pick<Pool, 'options'>): string {
  const given = options as {
    host?: unknown
    port?: unknown
    database?: unknown
    connectionString?: unknown
  }
  const url = urlOf(given.connectionString)
  const host = url?.hostname || given.host || process.env['PGHOST'] || 'localhost'
  const port = url?.port || given.port || process.env['PGPORT'] || 5432
  const database =
    url?.pathname.slice(1) || given.database || process.env['PGDATABASE'] || 'the default database'
  return `PostgreSQL ${database} at ${host}:${port}`
}

function urlOf(text: unknown): URL | undefined {
  return typeof text === 'string' && URL.canParse(text) ? new URL(text) : undefined
}

function ignore(): void {}
