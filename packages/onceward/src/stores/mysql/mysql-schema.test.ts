import { createPool, type Pool } from 'mysql2/promise'
import { afterAll, beforeEach, expect, it } from 'vitest'
import { describeWith } from '../../../../../test-servers/index.mjs'
import { migrationNames } from '../../../test/databases/migration-names.ts'
import { isOncewardError } from '../../core/errors.ts'
import { asks, doneBy, someId } from '../../testing/case-kit.ts'
import { mysqlStore } from './index.ts'

await describeWith('mariadb', 'the schema of the MySQL store', ({ mariadb }) => {
  let pool: Pool
  const pools: Pool[] = []
  const open = (url: string) => {
    const opened = createPool({ uri: url, connectionLimit: 4 })
    pools.push(opened)
    return opened
  }
  beforeEach(async () => {
    const database = await mariadb.createDatabase()
    pool = open(database.url)
  })
  afterAll(async () => {
    await Promise.all(pools.map((one) => one.end()))
  })
  const failureOf = (promise: Promise<unknown>) =>
    promise.then(
      () => undefined,
      (error: unknown) => error,
    )

  it('tells a database without it, and how it is made', async () => {
    const error = await failureOf(mysqlStore(pool).claim(asks(someId())))
    expect(isOncewardError(error, 'SCHEMA_MISSING') && error.effect).toBe('none')
    expect(String(error)).toMatch(/onceward migrate --store URL/)
  })

  it('is shown before it is made, and made by the first use where that is asked for', async () => {
    const store = mysqlStore(pool, { autoMigrate: true })
    const plan = await store.plan()
    expect(plan.map(({ name }) => name)).toEqual(migrationNames('mysql'))
    expect(plan[0]?.sql).toMatch(/CREATE TABLE IF NOT EXISTS onceward_operations/)
    expect(await failureOf(pool.query('SELECT 1 FROM onceward_operations'))).toMatchObject({ errno: 1146 })
    await doneBy(store, someId())
    expect(await store.plan()).toEqual([])
    expect(await store.migrate()).toEqual([])
  })

  it('is made once by eight that start at the same time, and all of them can work', async () => {
    const stores = Array.from({ length: 8 }, () => mysqlStore(pool))
    const applied = await Promise.all(stores.map((store) => store.migrate()))
    expect(applied.flat()).toEqual(migrationNames('mysql'))
    await Promise.all(stores.map((store) => doneBy(store, someId())))
  })

  it('is gone on with where it was left half made', async () => {
    const store = mysqlStore(pool)
    const [plan] = await store.plan()
    // The first statement was done, and then the process ended.
    await pool.query(plan?.sql.split(/;\s*$/m)[0] ?? '')
    expect(isOncewardError(await failureOf(store.get(someId())), 'SCHEMA_MISSING')).toBe(true)
    expect(await store.migrate()).toEqual(migrationNames('mysql'))
    await doneBy(store, someId())
    expect(await store.audit()).toEqual([])
  })

  it('of a newer program is used as far as that program allows, and refused otherwise', async () => {
    await mysqlStore(pool).migrate()
    const latest = migrationNames('mysql').length
    const add = (compatibleFrom: number) =>
      pool.query('REPLACE INTO onceward_migrations VALUES (?, ?, 0, ?)', [
        latest + 1,
        'later',
        compatibleFrom,
      ])
    await add(1)
    await doneBy(mysqlStore(pool), someId())
    expect(await mysqlStore(pool).migrate()).toEqual([])
    await add(latest + 1)
    for (const call of [
      () => mysqlStore(pool).claim(asks(someId())),
      () => mysqlStore(pool).migrate(),
      () => mysqlStore(pool, { autoMigrate: true }).get(someId()),
    ]) {
      const error = await failureOf(call())
      expect(isOncewardError(error, 'SCHEMA_NEWER') && error.effect).toBe('none')
      expect(String(error)).toMatch(/upgrade onceward/)
    }
  })

  it('that is taken away under a running store is told as missing, and found again once it is back', async () => {
    const store = mysqlStore(pool)
    await store.migrate()
    await doneBy(store, someId())
    await pool.query('DROP TABLE onceward_operations, onceward_migrations, onceward_audit, onceward_locks')
    expect(isOncewardError(await failureOf(store.claim(asks(someId()))), 'SCHEMA_MISSING')).toBe(true)
    await store.migrate()
    await doneBy(store, someId())
  })

  it('needs no right to create anything once it is there', async () => {
    await mysqlStore(pool).migrate()
    const [[row]] = (await pool.query('SELECT DATABASE() AS name')) as unknown as [[{ name: string }]]
    const user = `u${row.name.slice(-8)}`
    await pool.query(`CREATE USER '${user}'@'%' IDENTIFIED BY 'pass'`)
    await pool.query(`GRANT SELECT, INSERT, UPDATE, DELETE ON ${row.name}.* TO '${user}'@'%'`)
    const limited = open(`mysql://${user}:pass@${mariadb.host}:${mariadb.port}/${row.name}`)
    const store = mysqlStore(limited)
    expect(await store.migrate()).toEqual([])
    await doneBy(store, someId())
    await pool.query(`REVOKE UPDATE ON ${row.name}.* FROM '${user}'@'%'`)
    const reader = open(`mysql://${user}:pass@${mariadb.host}:${mariadb.port}/${row.name}`)
    const refused = await failureOf(doneBy(mysqlStore(reader), someId()))
    expect(isOncewardError(refused, 'STORE_UNAVAILABLE') && refused.effect).toBe('none')
    expect(String(refused)).toMatch(/grant it SELECT, INSERT, UPDATE and DELETE/)
    expect(String(refused)).not.toMatch(/pass@/)
    await pool.query(`DROP USER '${user}'@'%'`)
  })
})
