import { renameSync, rmSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { createOnce } from '../../src/core/index.ts'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import { closing, temporaryFile } from './sqlite-kit.ts'

const removeAll = (path: string) => {
  for (const end of ['', '-wal', '-shm']) rmSync(path + end, { force: true })
}

describe('a database file that is taken away while it is open', () => {
  it('is noticed when it was deleted, before anything is run that nobody else would know of', async () => {
    const path = temporaryFile()
    const once = createOnce({ store: closing(sqliteStore(path)), scope: 's' })
    await once.run({ key: 'before' }, () => 1)
    removeAll(path)
    let runs = 0
    const charge = () => ++runs
    await expect(once.run({ key: 'k' }, charge)).rejects.toMatchObject({
      code: 'STORE_CORRUPT',
      effect: 'none',
      message: expect.stringContaining('restart this process'),
    })
    const other = createOnce({ store: closing(sqliteStore(path)), scope: 's' })
    await other.run({ key: 'k' }, charge)
    await expect(once.transaction({ key: 'k' }, charge)).rejects.toMatchObject({ code: 'STORE_CORRUPT' })
    expect(runs).toBe(1)
  })

  it('serves again once it was put back', async () => {
    const path = temporaryFile()
    const once = createOnce({ store: closing(sqliteStore(path)), scope: 's' })
    await once.run({ key: 'before' }, () => 1)
    renameSync(path, `${path}.away`)
    await expect(once.run({ key: 'k' }, () => 1)).rejects.toMatchObject({ code: 'STORE_CORRUPT' })
    renameSync(`${path}.away`, path)
    expect(await once.run({ key: 'k' }, () => 1)).toBe(1)
  })
})
