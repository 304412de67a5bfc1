import pg from 'pg'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { describeWith, type TestDatabase } from '../../../../../test-servers/index.mjs'
import { migrationNames } from '../../../test/databases/migration-names.ts'
import { asks, claimed, LONG_MS, outcomeOf, someId } from '../../testing/case-kit.ts'
import { type PostgresStore, type PostgresStoreOptions, postgresStore } from './index.ts'

await describeWith('postgres', 'the schema of the PostgreSQL store', ({ postgres: server }) => {
  let database: TestDatabase
  let pool: pg.Pool
  let schemas = 0
  const stores: PostgresStore[] = []

  beforeAll(async () => {
    database = await server.createDatabase()
    pool = new pg.Pool({ connectionString: database.url, max: 20 })
  })
  afterEach(async () => {
    for (const store of stores.splice(0)) await store.close()
  })
  afterAll(async () => {
    await pool?.end()
    await database?.drop()
  })

  const fresh = () => `schema_${++schemas}`
  const open = (schema: string, options: PostgresStoreOptions = {}) => {
    const store = postgresStore(pool, { schema, ...options })
    stores.push(store)
    return store
  }

  it('is missing at first, and every call names the mend', async () => {
    const store = open(fresh())
    const calls = [
      () => store.claim(asks(someId())),
      () => store.get(someId()),
      () => store.list({}),
      () => store.sweep(),
      () => store.transaction(async (tx) => store.claimIn(tx, asks(someId()))),
    ]
    for (const call of calls) {
      await expect(call()).rejects.toMatchObject({
        code: 'SCHEMA_MISSING',
        effect: 'none',
        message: expect.stringMatching(/onceward migrate --store URL.*await store\.migrate\(\)/),
      })
    }
    expect(await store.doctor()).toContainEqual(expect.objectContaining({ check: 'schema', level: 'fail' }))
  })

  it('is made once by eight starters at the same time', async () => {
    const schema = fresh()
    const applied = await Promise.all(Array.from({ length: 8 }, () => open(schema).migrate()))
    expect(applied.flat()).toEqual(migrationNames('pg'))
    await claimed(open(schema), someId())
  })

  it('is made by the first use with autoMigrate, also by eight at the same time', async () => {
    const schema = fresh()
    const replies = await Promise.all(
      Array.from({ length: 8 }, () => open(schema, { autoMigrate: true }).claim(asks(someId()))),
    )
    expect(replies.map((reply) => reply.state)).toEqual(Array(8).fill('claimed'))
  })

  it('is planned without being touched, and the plan run by hand is the migration', async () => {
    const schema = fresh()
    const store = open(schema)
    const plan = await store.plan()
    expect(plan.map(({ name }) => name)).toEqual(migrationNames('pg'))
    await expect(store.get(someId())).rejects.toMatchObject({ code: 'SCHEMA_MISSING' })
    for (const { sql } of plan) await pool.query(`BEGIN; ${sql}; COMMIT`)
    expect(await store.plan()).toEqual([])
    expect(await store.migrate()).toEqual([])
    await claimed(store, someId())
  })

  it('of a newer version is refused, unless it says that this program can work on it', async () => {
    const schema = fresh()
    const id = someId()
    const latest = migrationNames('pg').length
    await open(schema).migrate()
    await pool.query(
      `INSERT INTO ${schema}.onceward_migrations (number, name, applied_at, compatible_from) VALUES (${latest + 1}, 'later', 0, 1)`,
    )
    const rolling = open(schema)
    await claimed(rolling, id)
    expect(await rolling.migrate()).toEqual([])
    expect(await rolling.doctor()).toContainEqual(expect.objectContaining({ check: 'schema', level: 'ok' }))
    await pool.query(
      `UPDATE ${schema}.onceward_migrations SET compatible_from = ${latest + 1} WHERE number = ${latest + 1}`,
    )
    const old = open(schema)
    for (const call of [() => old.claim(asks(someId())), () => old.migrate()]) {
      await expect(call()).rejects.toMatchObject({
        code: 'SCHEMA_NEWER',
        effect: 'none',
        message: expect.stringMatching(/upgrade onceward/),
      })
    }
    expect(await old.doctor()).toContainEqual(expect.objectContaining({ check: 'schema', level: 'fail' }))
  })

  it('that was begun and not finished is finished by the next migration', async () => {
    const schema = fresh()
    await open(schema).migrate()
    await pool.query(
      `CREATE TEMPORARY TABLE kept AS TABLE ${schema}.onceward_migrations; DROP SCHEMA ${schema} CASCADE; CREATE SCHEMA ${schema};
        CREATE TABLE ${schema}.onceward_migrations (LIKE kept INCLUDING ALL); DROP TABLE kept`,
    )
    expect(await open(schema).migrate()).toEqual(migrationNames('pg'))
    await claimed(open(schema), someId())
  })

  it('that is dropped under a running store is told, and used again once it is back', async () => {
    const schema = fresh()
    const store = open(schema)
    await store.migrate()
    const claim = await claimed(store, someId())
    await pool.query(`DROP SCHEMA ${schema} CASCADE`)
    await expect(store.complete(claim, outcomeOf('receipt'), LONG_MS)).rejects.toMatchObject({
      code: 'SCHEMA_MISSING',
      effect: 'none',
    })
    await store.migrate()
    await claimed(store, someId())
  })

  it('cannot be made by a user who may not, who is told so', async () => {
    const user = `maker_${database.name}`
    await pool.query(`CREATE ROLE ${user} LOGIN`)
    const url = new URL(database.url)
    url.username = user
    url.password = ''
    const own = new pg.Pool({ connectionString: url.href })
    try {
      const store = postgresStore(own, { schema: fresh() })
      await expect(store.migrate()).rejects.toMatchObject({
        effect: 'none',
        message: expect.stringMatching(/lacks a permission/),
      })
    } finally {
      await own.end()
      await pool.query(`DROP OWNED BY ${user}; DROP ROLE ${user}`)
    }
  })

  it('keeps two stores of one database apart', async () => {
    const [a, b] = [open(fresh()), open(fresh())]
    await Promise.all([a.migrate(), b.migrate()])
    const id = someId()
    await claimed(a, id)
    await claimed(b, id)
    expect((await a.list({})).records).toHaveLength(1)
  })
})
