import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { startChild } from '../../../test/sqlite/child-process.ts'
import { closing, count, opened, temporaryFile } from '../../../test/sqlite/sqlite-kit.ts'
import { sqliteStore } from '../../stores/sqlite/index.ts'
import { LONG_MS, within } from '../../testing/case-kit.ts'
import { asksFor, granted, heldBy, refused, someKey, stillHolds, waitsFor } from '../../testing/lock-kit.ts'
import { sqliteLocks } from './index.ts'

describe('locks in a SQLite file', () => {
  it('are made by the first use of a path, beside operations, and missing on a given handle until it is migrated', async () => {
    const path = temporaryFile()
    const locks = closing(sqliteLocks(path))
    await granted(locks, asksFor('k'))
    expect(await closing(sqliteStore(path)).migrate()).toEqual([])
    const handle = opened(temporaryFile())
    const given = closing(sqliteLocks(handle))
    for (const call of [() => given.acquire(asksFor('k')), () => given.inspect('k')]) {
      await expect(call()).rejects.toMatchObject({
        code: 'SCHEMA_MISSING',
        effect: 'none',
        message: expect.stringContaining('migrate()'),
      })
    }
    expect(await given.migrate()).toContain('0002-locks')
    await granted(given, asksFor('k'))
    handle.exec('PRAGMA synchronous = OFF')
    await granted(closing(sqliteLocks(handle)), asksFor('k2'))
    expect(count(handle, 'PRAGMA synchronous'), 'the settings of a given handle stay').toBe(0)
  })

  it('survive their process: held, waited for, and with fences that go on', async () => {
    const path = temporaryFile()
    const first = sqliteLocks(path)
    const held = await heldBy(first, someKey())
    const waiting = waitsFor(held.key)
    await refused(first, waiting, 'another holds the lock')
    await first.close()
    const locks = closing(sqliteLocks(path))
    await stillHolds(locks, held, 'the token still holds')
    expect(await locks.release(held)).toEqual({ released: true })
    await refused(locks, asksFor(held.key), 'another was there first')
    expect((await granted(locks, waiting)).fence).toBeGreaterThan(held.fence ?? Number.POSITIVE_INFINITY)
  })

  it('tell what is wrong: somebody else writes, the file is gone or read-only, they were closed', async () => {
    const path = temporaryFile()
    const locks = closing(sqliteLocks(path, { busyTimeoutMs: 50 }))
    await granted(locks, asksFor('k'))
    const other = opened(path)
    other.exec('BEGIN IMMEDIATE')
    await expect(locks.acquire(asksFor('k2'))).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
      effect: 'none',
      message: expect.stringMatching(/locked for 50 ms.*busyTimeoutMs/),
    })
    expect((await locks.inspect('k'))?.holders, 'looking needs no lock').toHaveLength(1)
    other.exec('ROLLBACK')
    await granted(locks, asksFor('k2'))
    for (const end of ['', '-wal', '-shm']) rmSync(path + end, { force: true })
    await expect(locks.acquire(asksFor('k3'))).rejects.toMatchObject({
      code: 'STORE_CORRUPT',
      effect: 'none',
    })
    const refusing = opened(temporaryFile())
    await closing(sqliteLocks(refusing)).migrate()
    refusing.exec('PRAGMA query_only = 1')
    await expect(closing(sqliteLocks(refusing)).acquire(asksFor('k'))).rejects.toMatchObject({
      code: 'STORE_READ_ONLY',
      effect: 'none',
    })
    const closed = sqliteLocks(temporaryFile())
    await closed.close()
    await closed.close()
    await expect(closed.acquire(asksFor('k'))).rejects.toMatchObject({ code: 'CLOSED', effect: 'none' })
    for (const given of [undefined, '', {}])
      expect(() => sqliteLocks(given as never)).toThrow(/sqliteLocks needs/)
  })

  it('a step that cannot be written does not harm those that are committed with it', async () => {
    const path = temporaryFile()
    const locks = closing(sqliteLocks(path))
    await granted(locks, asksFor('good'))
    const other = opened(path)
    other.exec("UPDATE onceward_locks SET state = '{' WHERE key = 'good'")
    const replies = await Promise.allSettled([
      locks.acquire(asksFor('a')),
      locks.acquire(asksFor('good')),
      locks.acquire(asksFor('b')),
    ])
    expect(replies.map((reply) => reply.status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect(replies[1]).toMatchObject({ reason: { code: 'STORE_CORRUPT', effect: 'none' } })
    for (const key of ['a', 'b']) await refused(locks, asksFor(key), 'it was granted')
  })

  it('forget rows that nobody has used for an hour, and none that is held, marked or ahead of the clock', async () => {
    let now = Date.UTC(2026, 0, 1)
    const clock = { now: () => now, monotonic: () => performance.now() }
    const path = temporaryFile()
    // Walks after every grant.
    const locks = closing(sqliteLocks(path, { clock, random: { nonce: () => 'n', fraction: () => 0 } }))
    for (let index = 0; index < 50; index++) await locks.release(await heldBy(locks, `idle/${index}`))
    const kept = await heldBy(locks, 'held', { ttlMs: 100 * LONG_MS })
    const marked = await heldBy(locks, 'marked')
    await locks.mark(marked, 'tick 7', 100 * LONG_MS)
    await locks.release(marked)
    // The clock was set back by two hours since: a new row would begin with a smaller fence.
    await locks.release(await heldBy(locks, 'ahead'))
    const handle = opened(path)
    handle.exec("UPDATE onceward_locks SET fence = fence + 7200000000 WHERE key = 'ahead'")
    now += 3_700_000
    const left = () =>
      (handle.prepare('SELECT key FROM onceward_locks ORDER BY key').all() as { key: string }[]).map(
        (row) => row.key,
      )
    const gone = async () => {
      while (left().length > 4) {
        await locks.acquire(asksFor('new', { ttlMs: 1 }))
        await new Promise((resolve) => setImmediate(resolve))
      }
    }
    await within(10_000, 'the idle rows are forgotten', gone())
    expect(left()).toEqual(['ahead', 'held', 'marked', 'new'])
    await stillHolds(locks, kept, 'it is held')
  })

  it('keep several processes apart, one after the other, each woken by the one before', async () => {
    const [path, counter] = [temporaryFile(), temporaryFile()]
    writeFileSync(counter, '0')
    const children = Array.from({ length: 4 }, () => startChild('count', [path, counter, '50']))
    await Promise.all(children.map((child) => child.next()))
    for (const child of children) child.go()
    const reports = await Promise.all(children.map((child) => child.next()))
    expect(readFileSync(counter, 'utf8')).toBe('200')
    const fences = reports.flatMap((report) => report['fences'] as number[])
    expect(new Set(fences).size).toBe(200)
    for (const report of reports)
      expect(report['fences']).toEqual((report['fences'] as number[]).toSorted((a, b) => a - b))
  }, 60_000)
})
