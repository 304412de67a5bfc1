import {
  chmodSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, it, onTestFinished } from 'vitest'
import { isOncewardError, type OncewardError } from '../../src/core/errors.ts'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import { DIST, runChild } from './child-process.ts'
import { asks, claimed, closing, count, DAY_MS, freshId, opened, temporaryFile, value } from './sqlite-kit.ts'

/** What `body` throws or rejects with. */
async function errorOf(body: () => unknown): Promise<OncewardError> {
  try {
    await body()
  } catch (error) {
    if (isOncewardError(error)) return error
    throw error
  }
  throw new Error('expected an error')
}

/** The paths this process holds open. */
function openFiles(): readonly string[] {
  return readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`)
    } catch {
      // The one that read the folder.
      return ''
    }
  })
}

function expectPlain(error: OncewardError, code: string, words: readonly string[]): void {
  expect(error).toMatchObject({ code, effect: 'none' })
  expect(error.message).not.toContain('\n')
  for (const word of words) expect(error.message).toContain(word)
}

describe('a database that cannot be used is a typed error with the mend', () => {
  it('in a folder that is missing', async () => {
    const path = join(dirname(temporaryFile()), 'missing', 'operations.sqlite')
    const error = await errorOf(() => sqliteStore(path))
    expectPlain(error, 'STORE_UNAVAILABLE', [path, 'check that its folder exists'])
    expect(error.cause).toBeInstanceOf(Error)
    expect(existsSync(dirname(path))).toBe(false)
  })

  it('when it is missing and shall not be created', async () => {
    const path = temporaryFile()
    const error = await errorOf(() => sqliteStore(path, { create: false }))
    expectPlain(error, 'STORE_UNAVAILABLE', [path, 'check the path'])
    expect(readdirSync(dirname(path))).toEqual([])
  })

  it('when it is a folder', async () => {
    const path = dirname(temporaryFile())
    expectPlain(await errorOf(() => sqliteStore(path)), 'STORE_UNAVAILABLE', [path])
  })

  it('when it is not a database, which is left as it is', async () => {
    const path = temporaryFile()
    const text = 'name,amount\n'.repeat(1000)
    writeFileSync(path, text)
    const error = await errorOf(() => sqliteStore(path))
    expectPlain(error, 'STORE_CORRUPT', [path, 'restore it from a backup, or name another file'])
    expect(readFileSync(path, 'utf8')).toBe(text)
    expect(readdirSync(dirname(path))).toHaveLength(1)
    if (process.platform === 'linux') expect(openFiles()).not.toContain(path)
  })

  it('when its pages are damaged', async () => {
    const path = temporaryFile()
    const store = sqliteStore(path)
    const claims = await Promise.all(Array.from({ length: 200 }, () => claimed(store, freshId())))
    await Promise.all(claims.map((claim) => store.complete(claim, value('x'.repeat(500)), DAY_MS)))
    await store.close()
    const bytes = readFileSync(path)
    writeFileSync(path, bytes.fill(0xa5, 4096 * 2))
    const damaged = closing(sqliteStore(path))
    const errors = await Promise.all(
      claims.map(({ id }) => errorOf(() => damaged.get(id)).catch(() => undefined)),
    )
    const found = errors.find((error) => error !== undefined)
    expectPlain(found as OncewardError, 'STORE_CORRUPT', [path])
    const integrity = (await damaged.doctor()).find((finding) => finding.check === 'integrity')
    expect(integrity?.level).toBe('fail')
  })

  it('when it may not be written', async () => {
    const path = temporaryFile()
    const first = sqliteStore(path)
    const done = await claimed(first, freshId())
    await first.complete(done, value('kept'), DAY_MS)
    await first.close()
    const handle = opened(path)
    handle.exec('PRAGMA query_only = ON')
    const store = closing(sqliteStore(handle))
    const error = await errorOf(() => store.claim(asks(freshId())))
    expectPlain(error, 'STORE_READ_ONLY', ['is read-only'])
    expect(await store.get(done.id)).toMatchObject({ state: 'done' })
    expect(await store.doctor()).toContainEqual(expect.objectContaining({ check: 'write', level: 'fail' }))
  })

  it.skipIf(process.getuid?.() !== 0)('when the file system forbids to write it', async () => {
    const path = temporaryFile()
    await closing(sqliteStore(path)).migrate()
    chmodSync(path, 0o444)
    chmodSync(dirname(path), 0o555)
    const report = await runChild('claim-once', [path], { uid: 65534 })
    expect(report).toMatchObject({ code: 'STORE_READ_ONLY', effect: 'none' })
    expect(report['message']).toContain(path)
  })

  it('when it is full, and works again when there is room', async () => {
    const path = temporaryFile()
    const store = closing(sqliteStore(path))
    const claim = await claimed(store, freshId())
    store.database.exec(`PRAGMA max_page_count = ${count(store.database, 'PRAGMA page_count') + 4}`)
    const large = { kind: 'value', value: new Uint8Array(100_000) } as const
    const error = await errorOf(() => store.complete(claim, large, DAY_MS))
    expectPlain(error, 'STORE_FULL', [path, 'free disk space'])
    expect(await store.get(claim.id)).toMatchObject({ state: 'running' })
    store.database.exec('PRAGMA max_page_count = 100000')
    expect(await store.complete(claim, large, DAY_MS)).toBe(true)
  })

  it('when its rows are not ours: each names its operation, and the others still work', async () => {
    const path = temporaryFile()
    const store = closing(sqliteStore(path))
    const other = opened(path)
    for (const damage of [
      "state = 'paused'",
      "body = 'not json'",
      "body = '[]'",
      "body = json_set('{}', '$.asks', 'one')",
      "body = json_set('{}', '$.history', json('[1]'))",
      'body = json_set(\'{}\', \'$.steps\', json(\'[["a","done","hold",9]]\'))',
      'value_bytes = NULL',
      'value_bytes = -1',
      "value_bytes = 'many'",
      'attempt = 2',
      "attempt = 'one'",
      "on_crash = 'ask'",
      "owner = x'ff'",
      "fingerprint = x'00'",
      'payload = NULL',
      "payload = x'00'",
      'fence = 9007199254740993',
      "fence = 'many'",
      "created_at = 'yesterday'",
      "expires_at = 'never'",
      "scope = x'ff'",
    ]) {
      const claim = await claimed(store, freshId())
      await store.complete(claim, value('receipt'), DAY_MS)
      other.prepare(`UPDATE onceward_operations SET ${damage} WHERE digest = ?`).run(claim.id.digest)
      for (const call of [() => store.get(claim.id), () => store.claim(asks(claim.id, 'duplicate'))]) {
        const error = await errorOf(call)
        expect(error, damage).toMatchObject({ code: 'STORE_CORRUPT', effect: 'unknown' })
      }
    }
    expect(await store.claim(asks(freshId()))).toMatchObject({ state: 'claimed' })
  })

  it('when no driver is installed', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'onceward-no-driver-'))
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    cpSync(DIST, join(folder, 'dist'), { recursive: true })
    writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
    const report = await runChild('open', [join(folder, 'a.sqlite')], {
      dist: pathToFileURL(join(folder, 'dist/')).href,
      hideBuiltIn: true,
    })
    expect(report).toMatchObject({ code: 'STORE_MISCONFIGURED', effect: 'none' })
    expect(report['message']).toContain('npm install @photostructure/sqlite')
    expect(existsSync(join(folder, 'a.sqlite'))).toBe(false)
  })

  it('when something else than a path or a database is given', () => {
    for (const wrong of ['', 7, null, undefined, {}, { prepare() {} }]) {
      expect(() => sqliteStore(wrong as string)).toThrow(TypeError)
    }
    for (const options of [
      { busyTimeoutMs: -1 },
      { busyTimeoutMs: Number.NaN },
      { maxBatch: 0 },
      { maxBatch: 1.5 },
    ]) {
      expect(() => sqliteStore(':memory:', options)).toThrow(TypeError)
    }
    expect(() => sqliteStore(':memory:', { synchronous: 'off' as 'full' })).toThrow(TypeError)
  })
})

describe('closing', () => {
  it('commits what was asked for before, and refuses what comes after', async () => {
    const path = temporaryFile()
    const store = sqliteStore(path)
    await store.migrate()
    await store.stats()
    const id = freshId()
    const asked = store.claim(asks(id))
    await store.close()
    expect(await asked).toMatchObject({ state: 'claimed' })
    expect(await errorOf(() => store.claim(asks(freshId())))).toMatchObject({
      code: 'CLOSED',
      effect: 'none',
    })
    expect(await closing(sqliteStore(path)).get(id)).toMatchObject({ state: 'running' })
  })

  it('leaves a given handle open, and a symbolic link to the same file is the same store', async () => {
    const path = temporaryFile()
    const handle = opened(path)
    const store = sqliteStore(handle)
    await store.migrate()
    const id = freshId()
    await claimed(store, id)
    await store.close()
    expect(count(handle, 'SELECT count(*) FROM onceward_operations')).toBe(1)
    const link = `${path}.link`
    symlinkSync(path, link)
    expect(await closing(sqliteStore(link)).get(id)).toMatchObject({ state: 'running' })
  })
})
