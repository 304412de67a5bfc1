import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { operationId } from '../../src/core/identity.ts'
import { MIGRATIONS } from '../../src/drivers/sqlite/schema.ts'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import { migrationNames } from '../databases/migration-names.ts'
import { asks, claimed, closing, count, DAY_MS, freshId, opened, temporaryFile, value } from './sqlite-kit.ts'

const FOLDER = new URL('../../src/drivers/sqlite/migrations/', import.meta.url)
const DUMP = fileURLToPath(new URL('./schema.sql', import.meta.url))

describe('the schema', () => {
  it('is made by numbered migrations, each a file', () => {
    expect(readdirSync(FOLDER).sort()).toEqual(MIGRATIONS.map((name) => `${name}.sql`))
    MIGRATIONS.forEach((name, index) => {
      expect(name.startsWith(`${String(index + 1).padStart(4, '0')}-`)).toBe(true)
    })
  })

  it('is the one of the dump in test/sqlite/schema.sql', async () => {
    const store = closing(sqliteStore(':memory:'))
    await store.migrate()
    const rows = store.database
      .prepare('SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY type DESC, name')
      .all() as { sql: string }[]
    // After a new migration: npx vitest run <this file> -u
    await expect(`${rows.map((row) => row.sql).join(';\n\n')};\n`).toMatchFileSnapshot(DUMP)
  })

  it('is made by the first use of a path, beside the tables and the user_version of somebody else', async () => {
    const path = temporaryFile()
    const other = opened(path)
    other.exec('PRAGMA user_version = 7; CREATE TABLE orders (id TEXT)')
    const store = closing(sqliteStore(path))
    expect(await store.claim(asks(freshId()))).toMatchObject({ state: 'claimed' })
    expect(count(other, 'PRAGMA user_version')).toBe(7)
    expect(await store.migrate()).toEqual([])
  })

  it('is missing on a given handle until it is migrated, and says how', async () => {
    const handle = opened(temporaryFile())
    const store = closing(sqliteStore(handle))
    for (const call of [
      () => store.claim(asks(freshId())),
      () => store.list({}),
      () => store.transaction(() => {}),
    ]) {
      await expect(call()).rejects.toMatchObject({
        code: 'SCHEMA_MISSING',
        effect: 'none',
        message: expect.stringContaining('await store.migrate()'),
      })
    }
    expect(count(handle, 'SELECT count(*) FROM sqlite_schema')).toBe(0)
    expect(await store.doctor()).toContainEqual(expect.objectContaining({ check: 'schema', level: 'fail' }))
    expect(await store.migrate()).toEqual(MIGRATIONS)
    expect(await store.claim(asks(freshId()))).toMatchObject({ state: 'claimed' })
  })

  it('is left alone by a path with autoMigrate off', async () => {
    const store = closing(sqliteStore(temporaryFile(), { autoMigrate: false }))
    await expect(store.claim(asks(freshId()))).rejects.toMatchObject({ code: 'SCHEMA_MISSING' })
  })

  it('is refused when it is newer than the program, and nothing is written', async () => {
    const path = temporaryFile()
    const latest = migrationNames('sqlite').length
    const first = closing(sqliteStore(path))
    await first.migrate()
    first.database.exec(`INSERT INTO onceward_migrations VALUES (${latest + 1}, 'from-the-future', 0)`)
    const store = closing(sqliteStore(path))
    for (const call of [() => store.claim(asks(freshId())), () => store.migrate(), () => store.stats()]) {
      await expect(call()).rejects.toMatchObject({
        code: 'SCHEMA_NEWER',
        effect: 'none',
        message: expect.stringMatching(
          new RegExp(`version ${latest + 1}, this program knows ${latest}; upgrade`),
        ),
      })
    }
    expect(await store.doctor()).toContainEqual(expect.objectContaining({ check: 'schema', level: 'fail' }))
    expect(count(store.database, 'SELECT count(*) FROM onceward_operations')).toBe(0)
  })
})

describe('what is remembered', () => {
  it('is there after closing and opening, with fences that go on', async () => {
    const path = temporaryFile()
    let now = Date.UTC(2026, 0, 1)
    const clock = { now: () => now, monotonic: () => performance.now() }
    const id = freshId()
    let fence = 0
    for (let round = 0; round < 4; round++) {
      const store = sqliteStore(path, { clock })
      const claim = await claimed(store, id)
      expect(claim.fence).toBeGreaterThan(fence)
      fence = claim.fence
      await store.complete(claim, value('receipt'), 1000)
      now += round % 2 === 0 ? 1000 : 5000
      if (round > 1) expect(await store.purge()).toBe(1)
      await store.close()
    }
  })

  it('is safe from a power cut by default, and told by the doctor when it is not', async () => {
    const path = temporaryFile()
    const full = closing(sqliteStore(path))
    await full.migrate()
    expect(count(full.database, 'PRAGMA synchronous')).toBe(2)
    const normal = closing(sqliteStore(path, { synchronous: 'normal' }))
    const findings = await normal.doctor()
    expect(findings).toContainEqual(expect.objectContaining({ check: 'journal', level: 'ok' }))
    expect(findings).toContainEqual(expect.objectContaining({ check: 'synchronous', level: 'warn' }))
    const handle = opened(path)
    handle.exec('PRAGMA synchronous = OFF')
    await closing(sqliteStore(handle)).migrate()
    expect(count(handle, 'PRAGMA synchronous')).toBe(2)
    handle.exec('PRAGMA synchronous = EXTRA')
    await closing(sqliteStore(handle)).stats()
    expect(count(handle, 'PRAGMA synchronous')).toBe(3)
  })

  it('is told by the doctor when lapsed claims or another journal weaken it', async () => {
    let now = Date.UTC(2026, 0, 1)
    const clock = { now: () => now, monotonic: () => performance.now() }
    const handle = opened(temporaryFile())
    const store = closing(sqliteStore(handle, { clock }))
    await store.migrate()
    await claimed(store, freshId())
    now += 2 * DAY_MS
    const findings = await store.doctor()
    expect(findings).toContainEqual(expect.objectContaining({ check: 'lapsed', level: 'warn' }))
    expect(findings).toContainEqual(expect.objectContaining({ check: 'journal', level: 'warn' }))
    expect(await store.sweep()).toBe(1)
    expect(await store.doctor()).toContainEqual(expect.objectContaining({ check: 'lapsed', level: 'ok' }))
  })
})

describe('a large catalog', () => {
  it('is listed without holding up the event loop, every record once', async () => {
    const store = closing(sqliteStore(temporaryFile(), { synchronous: 'normal' }))
    await store.migrate()
    const rare = operationId('test', 'rare')
    await claimed(store, rare)
    const ids = Array.from({ length: 10_000 }, freshId)
    for (let from = 0; from < ids.length; from += 500) {
      await Promise.all(ids.slice(from, from + 500).map((id) => claimed(store, id)))
    }
    let turns = 0
    let listing = true
    const turn = () => {
      turns++
      if (listing) setImmediate(turn)
    }
    setImmediate(turn)
    const page = await store.list({ keyPrefix: rare.key, scope: rare.scope, state: 'running' })
    listing = false
    expect(page.records.map((record) => record.id.key)).toEqual(['rare'])
    expect(turns).toBeGreaterThan(1)
    const seen = new Set<string>()
    let cursor: string | undefined
    do {
      const next = await store.list({ limit: 1000, ...(cursor === undefined ? {} : { cursor }) })
      for (const { id } of next.records) {
        expect(seen.has(id.digest)).toBe(false)
        seen.add(id.digest)
      }
      cursor = next.cursor
    } while (cursor !== undefined)
    expect(seen.size).toBe(10_001)
  })
})
