/**
 * What docs/guarantees.md says about a crash: real processes on one SQLite file, killed by SIGKILL in the middle of an
 * operation. The effect of hold, rerun and downstream key is a line in a file; that of a transaction is a row.
 */
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { sqliteStore } from 'onceward/sqlite'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

const WORKER = fileURLToPath(new URL('worker.mjs', import.meta.url))
/** Of a process that is to die. */
const SHORT_LEASE_MS = 300
const LONG_LEASE_MS = 60_000

let folder = ''

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'onceward-crash-'))
})

afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
})

const file = (): string => join(folder, 'store.sqlite')

type Mode = 'hold' | 'rerun' | 'downstream' | 'transaction'
type Point = 'before' | 'effect' | 'after' | 'none'

/** Runs the operation in a process of its own. Answers what it printed, or the signal it died of. */
async function work(mode: Mode, at: Point): Promise<unknown> {
  const leaseMs = at === 'none' ? LONG_LEASE_MS : SHORT_LEASE_MS
  const order = { file: file(), sink: join(folder, 'sink'), mode, at, leaseMs }
  const child = spawn(process.execPath, [WORKER, JSON.stringify(order)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let said = ''
  child.stdout.on('data', (chunk: Buffer) => {
    said += chunk
  })
  const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve) => {
    child.on('close', (...end) => resolve(end))
  })
  if (signal !== null) return signal
  expect(code).toBe(0)
  return JSON.parse(said)
}

/** Waits until the claim of the dead process has lapsed, on the clock of the store. */
async function lapse(): Promise<void> {
  const store = sqliteStore(file())
  try {
    const { records } = await store.list({ state: 'running' })
    const until = Math.max(0, ...records.map((record) => record.leaseUntil))
    await expect.poll(() => Date.now() > until, { timeout: 5000, interval: 20 }).toBe(true)
  } finally {
    await store.close()
  }
}

function effects(): string[] {
  const sink = join(folder, 'sink')
  return existsSync(sink) ? readFileSync(sink, 'utf8').trim().split('\n') : []
}

describe('a process killed in the middle of an operation', () => {
  it.each([
    ['before its effect', 'before', 0],
    ['after its effect', 'effect', 1],
    ['before its outcome is stored', 'after', 1],
  ] as const)('%s leaves it held in hold mode, and nobody runs it again', async (_, at, happened) => {
    expect(await work('hold', at)).toBe('SIGKILL')
    await lapse()
    expect(await work('hold', 'none')).toMatchObject({ outcome: 'held' })
    expect(await work('hold', 'none')).toMatchObject({ outcome: 'held' })
    expect(effects()).toHaveLength(happened)
  })

  it.each([
    ['before its effect', 'before', 1],
    ['after its effect', 'effect', 2],
    ['before its outcome is stored', 'after', 2],
  ] as const)(
    '%s is run again in rerun mode: one outcome, and possibly a second effect',
    async (_, at, count) => {
      expect(await work('rerun', at)).toBe('SIGKILL')
      await lapse()
      expect(await work('rerun', 'none')).toMatchObject({ outcome: 'executed', value: { attempt: 2 } })
      expect(await work('rerun', 'none')).toMatchObject({ outcome: 'replayed', value: { attempt: 2 } })
      expect(effects()).toHaveLength(count)
    },
  )

  it('is run again with the same downstream key, under which the other system can see one effect', async () => {
    expect(await work('downstream', 'effect')).toBe('SIGKILL')
    await lapse()
    expect(await work('downstream', 'none')).toMatchObject({ outcome: 'executed' })
    expect(effects()).toHaveLength(2)
    expect(new Set(effects()).size).toBe(1)
  })

  it.each([
    ['before its business write', 'before'],
    ['after its business write', 'effect'],
    ['before its outcome is stored', 'after'],
  ] as const)('%s has no effect in a transaction, and one after the retry', async (_, at) => {
    const store = sqliteStore(file())
    await store.migrate()
    store.database.exec('CREATE TABLE charges (attempt INTEGER)')
    const charges = (): unknown[] => store.database.prepare('SELECT attempt FROM charges').all()
    try {
      expect(await work('transaction', at)).toBe('SIGKILL')
      expect(charges()).toHaveLength(0)
      // No lease to wait for: the database rolled the claim back with everything else.
      expect(await work('transaction', 'none')).toEqual({ attempt: 1 })
      expect(await work('transaction', 'none')).toEqual({ attempt: 1 })
      expect(charges()).toHaveLength(1)
    } finally {
      await store.close()
    }
  })
})
