import { expect, it } from 'vitest'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import { closing, opened, temporaryFile } from './sqlite-kit.ts'

const settingsOf = (database: { prepare(sql: string): { get(): unknown } }) =>
  ['journal_mode', 'cache_size', 'wal_autocheckpoint'].flatMap((name) =>
    Object.values(database.prepare(`PRAGMA ${name}`).get() as object),
  )

it('sets up a file that it opens, and leaves a handle of the user as it is', async () => {
  const path = temporaryFile()
  const store = closing(sqliteStore(path))
  await store.migrate()
  expect(settingsOf(store.database)).toEqual(['wal', -16_384, 4096])
  const handle = opened(path)
  const before = settingsOf(handle)
  await closing(sqliteStore(handle)).migrate()
  expect(settingsOf(handle)).toEqual(before)
  expect(before).not.toEqual(settingsOf(store.database))
})
