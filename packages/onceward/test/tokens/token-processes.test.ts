/** A one-time token has at most one success (I7): real processes on one store, killed in the middle of what they do. */
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Redis } from 'ioredis'
import { expect, it } from 'vitest'
import { describeWith } from '../../../../test-servers/index.mjs'
import { createOnce } from '../../src/core/index.ts'
import { redisStore } from '../../src/stores/redis/index.ts'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import { createTokens } from '../../src/tokens/index.ts'
import type { TokenStore } from './token-stores.ts'

const WORKER = fileURLToPath(new URL('token-worker.mjs', import.meta.url))
const TOKENS = 40

async function trial(store: TokenStore, about: object): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'onceward-token-processes-'))
  const sink = join(folder, 'sink')
  appendFileSync(sink, '')
  try {
    await store.migrate()
    const tokens = createTokens({ once: createOnce({ store, scope: 'shop', cache: false }) })
    const issued = await Promise.all(Array.from({ length: TOKENS }, () => tokens.issue({ scope: 'ann' })))
    const work = async (deaths: number) => {
      const order = { ...about, tokens: issued, sink, deaths }
      const child = spawn(process.execPath, [WORKER, JSON.stringify(order)], {
        stdio: ['ignore', 'ignore', 'inherit'],
      })
      return new Promise<string | number | null>((resolve) => {
        child.on('close', (code, signal) => resolve(signal ?? code))
      })
    }
    const ends = await Promise.all(Array.from({ length: 6 }, () => work(0.05)))
    ends.push(...(await Promise.all(Array.from({ length: 2 }, () => work(0)))))
    expect(ends.filter((end) => end === 'SIGKILL').length, 'some of them died').toBeGreaterThan(0)
    expect(
      ends.filter((end) => end !== 'SIGKILL' && end !== 0),
      'the others ended well',
    ).toEqual([])
    const successes = readFileSync(sink, 'utf8').split('\n').filter(Boolean)
    expect(new Set(successes).size, 'no token had two successes').toBe(successes.length)
    expect(successes.length, 'most had one').toBeGreaterThan(TOKENS / 2)
    for (const token of successes)
      expect(await tokens.consume(token), 'and never has').toEqual({ outcome: 'used' })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

it('of processes that share an SQLite file, and are killed, no two succeed with one token', {
  timeout: 60_000,
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'onceward-token-file-'))
  const place = join(folder, 'tokens.sqlite')
  const store = sqliteStore(place)
  await trial(store, { store: 'sqlite', place }).finally(() => store.close())
  rmSync(folder, { recursive: true, force: true })
})

await describeWith('redis', 'processes that share a Redis', ({ redis }) => {
  it('and are killed: no two succeed with one token', { timeout: 60_000 }, async () => {
    const prefix = `t${randomBytes(5).toString('hex')}`
    const client = new Redis(redis.url)
    const store = redisStore(client, { prefix })
    await trial(store, { store: 'redis', place: redis.url, prefix }).finally(() => store.close())
    client.disconnect()
  })
})
