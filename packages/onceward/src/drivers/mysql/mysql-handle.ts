/** The part of a connection of `mysql2/promise` that is used. */
export interface MysqlConnection {
  query(options: MysqlStatement): Promise<readonly [unknown, unknown]>
  execute(options: MysqlStatement): Promise<readonly [unknown, unknown]>
  release(): unknown
  destroy(): unknown
  /** The connection of the callback interface, which this one wraps, though the types of the package say otherwise. */
  readonly connection?: object
}

/** The part of a connection of `mysql2` (callbacks) that is used. */
export interface MysqlCallbackConnection {
  readonly config?: { readonly typeCast?: unknown }
  query?(options: MysqlStatement, done: MysqlDone): unknown
  execute?(options: MysqlStatement, done: MysqlDone): unknown
}

/** Is told what a statement answers. */
export type MysqlDone = (error: unknown, answer: unknown) => void

/** A statement with the options of mysql2 that decide on the shape of its answer. */
export interface MysqlStatement {
  readonly sql: string
  readonly values?: unknown[]
}

/** The part of a pool of `mysql2/promise` that is used. */
export interface MysqlPromisePool {
  getConnection(): Promise<MysqlConnection>
}

/** The part of a pool of `mysql2` (callbacks) that is used. */
export interface MysqlCallbackPool {
  getConnection(done: (error: unknown, connection: never) => void): unknown
  promise(): MysqlPromisePool
}

/** A pool of `mysql2` or of `mysql2/promise`. Nothing of them is imported. */
export type MysqlPool = MysqlPromisePool | MysqlCallbackPool

/** What a pool was told of its server. */
interface PoolConfig {
  readonly host?: unknown
  readonly port?: unknown
  readonly socketPath?: unknown
  readonly database?: unknown
}

const MEND = "give a pool: `mysql.createPool(…)` of 'mysql2/promise' or 'mysql2'"

/**
 * The promise interface of a pool.
 *
 * @param user - Who was given it, for messages.
 * @throws `TypeError` that names the mend for everything else.
 */
export function promisePool(pool: unknown, user = 'mysqlStore'): MysqlPromisePool {
  if (typeof pool !== 'object' || pool === null) throw new TypeError(`${user} needs a pool; ${MEND}`)
  const shape = pool as Readonly<Record<string, unknown>>
  if (can(shape, 'of') && can(shape, 'add')) {
    throw new TypeError(
      `${user} was given a cluster of pools, which may read from a replica that lags behind; ${MEND} of the primary`,
    )
  }
  if (can(shape, 'getConnection')) {
    return can(shape, 'promise')
      ? (pool as MysqlCallbackPool).promise()
      : (pool as unknown as MysqlPromisePool)
  }
  if (can(shape, 'execute') && can(shape, 'query')) {
    throw new TypeError(
      `${user} was given one connection, which cannot carry several statements at a time, and breaks for good; ` +
        `${MEND}. For a transaction that is open on it there is once.within()`,
    )
  }
  throw new TypeError(`${user} needs a pool; ${MEND}`)
}

/** Which database a pool is for, without user and password, for messages. */
export function whereOf(pool: MysqlPromisePool): string {
  const { host, port, socketPath, database } = configOf(pool)
  const server = typeof socketPath === 'string' ? socketPath : `${host ?? 'localhost'}:${port ?? 3306}`
  return `the MySQL database ${typeof database === 'string' ? `${database} on ` : 'on '}${server}`
}

function configOf(pool: MysqlPromisePool): PoolConfig {
  const { pool: inner } = pool as { readonly pool?: { readonly config?: { connectionConfig?: PoolConfig } } }
  return inner?.config?.connectionConfig ?? {}
}

function can(shape: Readonly<Record<string, unknown>>, method: string): boolean {
  return typeof shape[method] === 'function'
}
