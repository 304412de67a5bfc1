import { describe, expect, it } from 'vitest'
import { operationId } from '../../src/core/identity.ts'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import { migrationNames } from '../databases/migration-names.ts'
import { startChild } from './child-process.ts'
import { claimed, closing, count, DAY_MS, freshId, temporaryFile, value } from './sqlite-kit.ts'

describe('several processes on one file', () => {
  it('may migrate at the same moment: one does it, all of them can work', async () => {
    const path = temporaryFile()
    const children = Array.from({ length: 4 }, () => startChild('migrate', [path]))
    await Promise.all(children.map((child) => child.next()))
    for (const child of children) child.go()
    const reports = await Promise.all(children.map((child) => child.next()))
    expect(reports.flatMap((report) => report['applied'])).toEqual(migrationNames('sqlite'))
    expect(reports.map((report) => report['reply']).sort()).toEqual([
      'claimed',
      'running',
      'running',
      'running',
    ])
    const store = closing(sqliteStore(path))
    expect(await store.migrate()).toEqual([])
    expect(count(store.database, 'SELECT count(*) FROM onceward_migrations')).toBe(
      migrationNames('sqlite').length,
    )
  })

  it('race for the same keys: each key is granted once, and ends with the outcome of its owner', async () => {
    const path = temporaryFile()
    const store = closing(sqliteStore(path))
    await store.migrate()
    const children = Array.from({ length: 4 }, () => startChild('race', [path, '200']))
    await Promise.all(children.map((child) => child.next()))
    for (const child of children) child.go()
    const reports = await Promise.all(children.map((child) => child.next()))
    const granted = reports.flatMap((report) =>
      (report['granted'] as { key: string; fence: number }[]).map((one) => ({ ...one, pid: report['pid'] })),
    )
    expect(granted.map((one) => one.key).sort()).toEqual(
      Array.from({ length: 200 }, (_, index) => `key-${index}`).sort(),
    )
    for (const { key, fence, pid } of granted) {
      const record = await store.get(operationId('test', key))
      expect(record).toMatchObject({ state: 'done', fence, attempt: 1, outcome: value(String(pid)) })
    }
  })

  it('wake each other: a waiter hears soon of what another process completed', async () => {
    const path = temporaryFile()
    const store = closing(sqliteStore(path))
    const id = freshId()
    const claim = await claimed(store, id)
    const child = startChild('wait', [path, id.key])
    await child.next()
    await store.complete(claim, value('receipt'), DAY_MS)
    const completedAt = Date.now()
    const report = await child.next()
    expect(report).toMatchObject({ state: 'done' })
    // Far below the 20 s after which the child gives up, far above what a busy machine needs.
    expect(Number(report['at']) - completedAt).toBeLessThan(10_000)
  })

  it('lose nothing that was acknowledged when one is killed in the middle of a batch', async () => {
    const path = temporaryFile()
    await closing(sqliteStore(path)).migrate()
    for (let round = 0; round < 3; round++) {
      const child = startChild('stream', [path])
      await child.next()
      const reports = []
      for (let line = 0; line < 2000; line++) reports.push(await child.next())
      child.process.kill('SIGKILL')
      reports.push(...(await child.rest()))
      const store = sqliteStore(path)
      const integrity = (await store.doctor()).find((finding) => finding.check === 'integrity')
      expect(integrity?.level).toBe('ok')
      const completed = new Set(reports.filter((one) => one['did'] === 'completed').map((one) => one['key']))
      expect(completed.size).toBeGreaterThan(500)
      for (const { key, did, fence } of reports) {
        if (did !== 'claimed') continue
        const record = await store.get(operationId('test', String(key)))
        expect(record?.fence, String(key)).toBe(fence)
        if (completed.has(key)) expect(record?.outcome, String(key)).toEqual(value(String(key)))
      }
      await store.close()
    }
  }, 60_000)
})
