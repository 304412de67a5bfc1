import pg from 'pg'
import postgres from 'postgres'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { describeWith, type TestDatabase } from '../../../../test-servers/index.mjs'
import { createOnce } from '../../src/core/index.ts'
import { postgresStore } from '../../src/stores/postgres/index.ts'
import { asks, LONG_MS, outcomeOf, someId } from '../../src/testing/case-kit.ts'

await describeWith(
  'postgres',
  'the PostgreSQL store on a pool that is set up oddly',
  ({ postgres: server }) => {
    let database: TestDatabase
    const ends: (() => Promise<unknown>)[] = []
    /** `binary` is not among the types of `pg`. */
    const openPool = (options: pg.PoolConfig & { readonly binary?: boolean } = {}) => {
      const pool = new pg.Pool({ connectionString: database.url, ...options })
      ends.push(() => pool.end())
      return pool
    }
    const openSql = (options: object = {}) => {
      const sql = postgres(database.url, { onnotice() {}, ...options })
      ends.push(() => sql.end({ timeout: 1 }))
      return sql
    }
    beforeEach(async () => {
      database = await server.createDatabase()
      await postgresStore(openPool()).migrate()
    })
    afterEach(async () => {
      for (const end of ends.splice(0).reverse()) await end()
      await database.drop()
    })

    it('a transaction that somebody has left open on a connection swallows no claim and no completion', async () => {
      const pool = openPool({ max: 1 })
      const store = postgresStore(pool)
      const leaveOpen = async (...statements: string[]) => {
        const client = await pool.connect()
        await client.query('BEGIN')
        for (const statement of statements) await client.query(statement).catch(() => {})
        client.release()
      }
      const elsewhere = postgresStore(openPool())
      const id = someId()
      await leaveOpen()
      const reply = await store.claim(asks(id))
      expect(await elsewhere.get(id)).toMatchObject({ state: 'running' })
      if (reply.state !== 'claimed') throw new Error(`it is ${reply.state}`)
      await leaveOpen('SELECT 1')
      expect(await store.complete(reply.claim, outcomeOf('receipt'), LONG_MS)).toBe(true)
      expect(await elsewhere.get(id)).toMatchObject({ state: 'done' })
      // One in which something has failed refuses everything, and is not met again either.
      await leaveOpen('SELECT 1/0')
      expect(await store.get(id)).toMatchObject({ state: 'done' })
    })

    it('a pool on which every connection begins a transaction is told so, and nothing is granted', async () => {
      const pool = openPool({ max: 1 })
      pool.on('connect', (client) => void client.query('BEGIN').catch(() => {}))
      await expect(postgresStore(pool).claim(asks(someId()))).rejects.toMatchObject({
        code: 'STORE_UNAVAILABLE',
        effect: 'none',
        message: expect.stringMatching(/transaction left open.*commit or roll back/),
      })
    })

    it('array_nulls that is off is refused before anything is stored', async () => {
      const options = { options: '-c array_nulls=off' }
      for (const autoMigrate of [false, true]) {
        const store = postgresStore(openPool(options), { autoMigrate })
        await expect(store.claim(asks(someId()))).rejects.toMatchObject({
          code: 'STORE_MISCONFIGURED',
          effect: 'none',
          message: expect.stringMatching(/array_nulls is off.*set it on/),
        })
      }
    })

    it('clients that ask for binary results work in transactions, whatever the key is', async () => {
      const store = postgresStore<pg.PoolClient>(openPool({ binary: true }))
      const once = createOnce({ store, scope: 'binary' })
      for (const key of ['plain', 'nul \0 byte']) {
        expect(await once.transaction({ key }, () => 'first')).toBe('first')
        expect(await once.transaction({ key }, () => 'second')).toBe('first')
      }
    })

    it('a completion waits for whoever has locked its record for a moment', async () => {
      const store = postgresStore(openPool())
      const reply = await store.claim(asks(someId()))
      if (reply.state !== 'claimed') throw new Error(`it is ${reply.state}`)
      const client = await openPool({ max: 1 }).connect()
      await client.query('BEGIN')
      await client.query('SELECT FROM onceward_operations FOR UPDATE')
      const completed = store.complete(reply.claim, outcomeOf('receipt'), LONG_MS)
      const unlocked = new Promise((resolve) => setTimeout(resolve, 400)).then(() => client.query('COMMIT'))
      expect(await completed).toBe(true)
      await unlocked
      client.release()
    })

    it('a sql that transforms rows is refused, naming the mend', () => {
      const sql = openSql({ transform: { row: { from: (row: object) => ({ ...row }) } } })
      expect(() => postgresStore(sql)).toThrow(/without `transform.row`/)
    })

    it('a cursor between two ms is one that no page has handed out', async () => {
      const cursor = Buffer.from(`1.5:${'a'.repeat(43)}`).toString('base64url')
      await expect(postgresStore(openPool()).list({ cursor })).rejects.toThrow(TypeError)
    })

    it('postgres: a connection that is lost under a transaction fails that transaction and not the process', async () => {
      const sql = openSql({ max: 2 })
      const store = postgresStore<postgres.TransactionSql>(sql)
      const once = createOnce({ store, scope: 'lost' })
      const uncaught: unknown[] = []
      const listener = (error: unknown) => uncaught.push(error)
      const before = process.listeners('uncaughtException')
      process.removeAllListeners('uncaughtException')
      process.on('uncaughtException', listener)
      try {
        let end = () => {}
        const ended = new Promise<void>((resolve) => {
          end = resolve
        })
        const late: unknown[] = []
        const lost = once.transaction({ key: 'order' }, async (handle) => {
          const tx = handle as postgres.TransactionSql
          const [row] = await tx`SELECT pg_backend_pid() AS pid`
          await server.query(`SELECT pg_terminate_backend(${Number(row?.['pid'])})`)
          await expect.poll(async () => (await activity(Number(row?.['pid']))).length).toBe(0)
          await new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
          for (const _ of [1, 2]) {
            try {
              await tx`SELECT 1`
            } catch (error) {
              late.push(error)
            }
          }
          end()
          return 'never'
        })
        await expect(lost).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE', effect: 'none' })
        await ended
        expect(late).toHaveLength(2)
        expect(await once.transaction({ key: 'order' }, () => 'again')).toBe('again')
        await new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
        expect(uncaught).toEqual([])
      } finally {
        process.removeListener('uncaughtException', listener)
        for (const one of before) process.on('uncaughtException', one)
      }
    })
    const activity = (pid: number) => server.query(`SELECT FROM pg_stat_activity WHERE pid = ${pid}`)
  },
)
