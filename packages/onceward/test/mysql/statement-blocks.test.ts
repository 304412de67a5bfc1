/** Transactions of the user's work on servers that take several statements as one (MariaDB), and on those that do not (MySQL). */
import { createPool, type PoolConnection } from 'mysql2/promise'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { describeWith, type TestDatabase } from '../../../../test-servers/index.mjs'
import { createInbox } from '../../src/inbox/index.ts'
import { mysqlStore } from '../../src/stores/mysql/index.ts'
import { asks, LONG_MS, outcomeOf, someId } from '../../src/testing/case-kit.ts'

await describeWith('mariadb', 'statements of a transaction that are sent as one', ({ mariadb }) => {
  let database: TestDatabase
  const ends: (() => Promise<unknown>)[] = []
  /** A pool of one connection, on which `rewrite` changes what the store sends; and the first words of what it has sent. */
  const openPool = (rewrite: (sql: string) => string = (sql) => sql) => {
    const pool = createPool({ uri: database.url, connectionLimit: 1 })
    const sent: string[] = []
    pool.on('connection', (connection) => {
      const query = connection.query.bind(connection) as (...args: unknown[]) => unknown
      Object.assign(connection, {
        query(statement: string | { sql: string }, ...more: unknown[]) {
          if (typeof statement === 'string') return query(statement, ...more)
          sent.push(statement.sql.split(' ')[0] ?? '')
          return query({ ...statement, sql: rewrite(statement.sql) }, ...more)
        },
      })
    })
    ends.push(() => pool.end())
    const settings = async () =>
      (await pool.execute('SELECT @@autocommit AS autocommit, @@innodb_lock_wait_timeout AS wait'))[0]
    return { pool, sent, settings }
  }
  beforeEach(async () => {
    database = await mariadb.createDatabase()
    await mysqlStore(openPool().pool).migrate()
  })
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end()
    await database.drop()
  })

  it('takes two statements around the work, and leaves the connection as it was', async () => {
    const { pool, sent, settings } = openPool()
    const store = mysqlStore<PoolConnection>(pool)
    await store.get(someId())
    const before = await settings()
    sent.splice(0)
    expect(await store.transaction(() => 'work')).toBe('work')
    expect(sent).toEqual(['BEGIN', 'BEGIN'])
    expect(await settings()).toEqual(before)
    await expect(store.transaction((tx) => tx.query('COMMIT'))).rejects.toThrow(
      /ended the transaction itself/,
    )
    expect(await settings()).toEqual(before)
  })

  it('sends them one after the other, from the second time on at once, where the server knows no such thing', async () => {
    const { pool, sent, settings } = openPool((sql) => (sql.startsWith('BEGIN NOT') ? 'THIS IS NONE' : sql))
    const store = mysqlStore<PoolConnection>(pool)
    await store.get(someId())
    const before = await settings()
    for (const tried of [['BEGIN'], []]) {
      sent.splice(0)
      expect(await store.transaction(() => 'work')).toBe('work')
      expect(await settings()).toEqual(before)
      expect(sent).toEqual([...tried, 'SET', 'SAVEPOINT', 'RELEASE', 'COMMIT', 'SET'])
    }
    await expect(store.transaction((tx) => tx.query('COMMIT'))).rejects.toThrow(
      /ended the transaction itself/,
    )
    expect(await settings()).toEqual(before)
  })

  /** The limit of the server strikes when the block has committed and is not yet through. */
  const interrupted = () =>
    openPool((sql) => sql.replace('SESSION autocommit = 1; END', 'SESSION autocommit = 1 + SLEEP(9); END'))
  const limit = (tx: PoolConnection) => tx.query('SET SESSION max_statement_time = 1.5')

  it('finds out by its record that a block was interrupted behind its commit', async () => {
    const store = mysqlStore<PoolConnection>(interrupted().pool)
    const id = someId()
    let runs = 0
    const work = store.transaction(async (tx) => {
      runs++
      const reply = await store.claimIn(tx, asks(id))
      if (reply.state !== 'claimed') return reply.state
      await store.completeIn(tx, reply.claim, outcomeOf('receipt'), LONG_MS)
      await limit(tx)
      return 'ran'
    })
    expect(await work).toBe('ran')
    expect(runs).toBe(1)
    expect(await store.get(id)).toMatchObject({ state: 'done' })
  })

  it('tells a message whose commit was interrupted as unknown, and knows it when it comes again', async () => {
    const inbox = createInbox<PoolConnection>({ db: interrupted().pool, consumer: 'billing' })
    ends.push(() => inbox.close())
    await expect(inbox.process('m1', limit)).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
      effect: 'unknown',
    })
    expect(await createInbox({ db: openPool().pool, consumer: 'billing' }).process('m1', () => {})).toEqual({
      outcome: 'duplicate',
    })
  })
})
