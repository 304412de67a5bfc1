import { monotonicMs } from '../harness/event-log.ts'
import type { DatabaseAddress, DatabaseHandle, Ending, Row, UserTx, WorkDatabase } from './work-database.ts'
import type { SqliteFile, WorkLibrary } from './work-library.ts'
import { sleep } from './work-room.ts'

/** Opens a database. */
export function openWorkDatabase(library: WorkLibrary, address: DatabaseAddress): Promise<WorkDatabase> {
  switch (address.kind) {
    case 'sqlite':
      return openSqliteDatabase(library, address)
    case 'postgres':
      return openPostgres(address)
    case 'mysql':
      return openMysql(address)
  }
}

type Values = readonly (string | number)[]

/** Enough for a few calls at a time; a connection is a process of the server, and dear. */
const POOL = 5

/** PostgreSQL over `pg`. */
async function openPostgres({ at, timeoutMs }: DatabaseAddress): Promise<WorkDatabase> {
  const { default: pg } = await import('pg')
  const pool = new pg.Pool({
    connectionString: at,
    max: POOL,
    connectionTimeoutMillis: timeoutMs,
    query_timeout: timeoutMs,
  })
  pool.on('error', () => {})
  // One that breaks while nothing is asked of it tells so by an event.
  pool.on('connect', (client) => client.on('error', () => {}))
  const runOn = (handle: unknown, sql: string, values: Values) =>
    (handle as typeof pool).query(numbered(sql), [...values])
  return {
    kind: 'postgres',
    db: pool,
    runOn,
    query: async (sql, values = []) => (await pool.query(numbered(sql), [...values])).rows as Row[],
    async transact(steps, ending) {
      const client = await pool.connect()
      let broken = true
      try {
        await client.query('BEGIN')
        await inTurn(steps, { handle: client, run: (sql, values) => runOn(client, sql, values) })
        await endBy(ending, (word) => client.query(word))
        broken = false
      } finally {
        client.release(broken)
      }
    },
    end: () => soon(pool.end()),
  }
}

/** MySQL or MariaDB over `mysql2`. */
async function openMysql({ at, timeoutMs }: DatabaseAddress): Promise<WorkDatabase> {
  const { createPool } = await import('mysql2/promise')
  const pool = createPool({ uri: at, connectionLimit: POOL, connectTimeout: timeoutMs })
  const runOn = (handle: unknown, sql: string, values: Values) =>
    (handle as typeof pool).query({ sql, values: [...values], timeout: timeoutMs })
  return {
    kind: 'mysql',
    db: pool as unknown as DatabaseHandle,
    runOn,
    async query(sql, values = []) {
      const [rows] = (await runOn(pool, sql, values)) as unknown as [unknown]
      return Array.isArray(rows) ? (rows as Row[]) : []
    },
    async transact(steps, ending) {
      const connection = await pool.getConnection()
      let broken = true
      try {
        await runOn(connection, 'START TRANSACTION', [])
        await inTurn(steps, { handle: connection, run: (sql, values) => runOn(connection, sql, values) })
        await endBy(ending, (word) => runOn(connection, word, []))
        broken = false
      } finally {
        if (broken) connection.destroy()
        else connection.release()
      }
    },
    end: () => soon(pool.end()),
  }
}

/** A file of SQLite: the library opens it by its path, and transactions of the user have a connection of their own. */
async function openSqliteDatabase(
  { openSqlite }: WorkLibrary,
  { at, timeoutMs }: DatabaseAddress,
): Promise<WorkDatabase> {
  const handle = openSqlite(at)
  // Waiting in SQLite would keep the event loop from turning.
  handle.exec('PRAGMA busy_timeout = 20')
  handle.exec('PRAGMA synchronous = FULL')
  const runOn = (on: unknown, sql: string, values: Values) =>
    (on as typeof handle).prepare(sql).run(...values)
  return {
    kind: 'sqlite',
    db: at,
    runOn,
    query: async (sql, values = []) => {
      if (/^SELECT/i.test(sql)) return handle.prepare(sql).all(...values) as Row[]
      if (values.length > 0) handle.prepare(sql).run(...values)
      else handle.exec(sql)
      return []
    },
    // One after the other: there is one connection.
    transact: oneByOne(async (steps, { commits, crash }) => {
      const until = monotonicMs() + timeoutMs
      while (!hasBegun(handle, monotonicMs() > until)) await sleep(5)
      try {
        for (const step of steps) {
          const answer = step({ handle, run: (sql, values) => runOn(handle, sql, values) })
          // An answer that is there already is not waited for: others may want the lock meanwhile.
          if (answer instanceof Promise) await answer
        }
        crash('before-commit')
        handle.exec(commits ? 'COMMIT' : 'ROLLBACK')
      } catch (error) {
        handle.exec('ROLLBACK')
        throw error
      }
      crash('at-commit')
      crash('after-commit')
    }),
    end: async () => handle.close(),
  }
}

/** Whether the write lock was to be had; throws where that was the `last` attempt. */
function hasBegun(handle: SqliteFile, last: boolean): boolean {
  try {
    handle.exec('BEGIN IMMEDIATE')
    return true
  } catch (error) {
    if (last) throw error
    return false
  }
}

function oneByOne(transact: WorkDatabase['transact']): WorkDatabase['transact'] {
  let last: Promise<unknown> = Promise.resolve()
  return (steps, ending) => {
    const next = last.then(() => transact(steps, ending))
    last = next.catch(() => {})
    return next
  }
}

async function inTurn(steps: readonly ((tx: UserTx) => unknown)[], tx: UserTx): Promise<void> {
  for (const step of steps) await step(tx)
}

async function endBy({ commits, crash }: Ending, say: (word: string) => Promise<unknown>): Promise<void> {
  crash('before-commit')
  const said = say(commits ? 'COMMIT' : 'ROLLBACK')
  said.catch(() => {})
  // The words are with the operating system by then.
  await new Promise((resolve) => setImmediate(resolve))
  crash('at-commit')
  await said
  crash('after-commit')
}

function numbered(sql: string): string {
  let count = 0
  return sql.replace(/\?/g, () => `$${++count}`)
}

/** A connection that is still in use would be waited for. */
async function soon(ended: Promise<unknown>): Promise<void> {
  await Promise.race([ended.catch(() => {}), new Promise((done) => setTimeout(done, 500))])
}
