/** What stands on top of locks, on every backend that keeps marks: over at least two connections of real servers. */
import { mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { createPool } from 'mysql2/promise'
import pg from 'pg'
import { createClient } from 'redis'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import {
  describeWhere,
  describeWith,
  startEtcd,
  startZookeeper,
  type TestServer,
} from '../../../../test-servers/index.mjs'
import { createLocks } from '../../src/locks/create-locks.ts'
import type { TickOutcome, TickRun } from '../../src/locks/cron-types.ts'
import { deleteInSegments } from '../../src/locks/delete-in-segments.ts'
import { etcdLocks } from '../../src/locks/etcd/index.ts'
import type { FencingBackend } from '../../src/locks/lock-backend.ts'
import { memoryLocks } from '../../src/locks/memory/index.ts'
import { mysqlLocks } from '../../src/locks/mysql/index.ts'
import { postgresLocks } from '../../src/locks/postgres/index.ts'
import { redisLocks } from '../../src/locks/redis/index.ts'
import { safeDelete } from '../../src/locks/safe-delete.ts'
import { sqliteLocks } from '../../src/locks/sqlite/index.ts'
import { type ZookeeperClient, zookeeperLocks } from '../../src/locks/zookeeper/index.ts'

// Ten instances on each of seven backends work side by side.
vi.setConfig({ testTimeout: 60_000 })

/** Two ways to one backend, and how to leave it. */
interface Opened {
  readonly backends: readonly [FencingBackend, FencingBackend]
  close(): Promise<void>
}

function worksOnTop(open: () => Promise<Opened>): void {
  const START = Date.UTC(2026, 0, 1)

  /** Ten instances over two connections, and a name that nobody else uses. */
  async function instances() {
    const { backends, close } = await open()
    const all = Array.from({ length: 10 }, (_, index) => createLocks(backends[index % 2] as FencingBackend))
    const name = `on-top ${process.pid} ${Math.random()}`
    const ttlMs = Math.max(1000, backends[0].minTtlMs)
    // Runs that are to come to their end have long enough for it on a machine that stands still now and then.
    return { all, name, ttlMs, atMostMs: 60_000, close }
  }

  it.concurrent('runs each tick on one of ten instances, with greater fences for later ticks', async () => {
    const { all, name, atMostMs, close } = await instances()
    const runs: TickRun<number>[] = []
    for (const minute of [1, 2, 3]) {
      const tick = START + minute * 60_000
      const outcomes = await Promise.all(
        all.map(
          (locks): Promise<TickOutcome<number>> =>
            locks.cron(name, { tick, atMostMs }, (run) => runs.push(run)),
        ),
      )
      expect(outcomes.filter(({ outcome }) => outcome === 'ran')).toHaveLength(1)
      const late: TickOutcome<number> = await (all[1] as (typeof all)[0]).cron(
        name,
        { tick, atMostMs },
        () => 0,
      )
      expect(late).toEqual({ outcome: 'already', tick })
    }
    const fences = runs.map(({ fence }) => fence)
    expect(fences).toEqual(fences.toSorted((a, b) => a - b))
    expect(new Set(fences).size).toBe(3)
    await close()
  })

  /** On a busy machine a lock can be granted too late to be of use: then it is asked for again. */
  const until = (outcome: string, run: () => Promise<TickOutcome<unknown>>) =>
    vi.waitFor(async () => expect((await run()).outcome).toBe(outcome), { timeout: 20_000, interval: 100 })

  it.concurrent('holds a tick whose run was cut off, until somebody decides', async () => {
    const { all, name, ttlMs, atMostMs, close } = await instances()
    const [dying, other] = all as [(typeof all)[0], (typeof all)[0]]
    const options = { atMostMs: ttlMs, ttlMs, onCrash: 'hold' } as const
    const attempts: number[] = []
    const run = (tick: number): Promise<TickOutcome<unknown>> =>
      other.cron(name, { atMostMs, onCrash: 'hold', tick }, ({ attempt }) => attempts.push(attempt))
    let begun = false
    // Its lock is never extended, and it never ends: what a killed process looks like to the others.
    const beginAndDie = (): Promise<TickOutcome<unknown>> =>
      dying.cron(name, { ...options, tick: START }, () => {
        begun = true
        return new Promise(() => {})
      })
    await vi.waitFor(
      async () => {
        await Promise.race([beginAndDie(), new Promise((resolve) => setTimeout(resolve, 500))])
        expect(begun).toBe(true)
      },
      { timeout: 20_000 },
    )
    await until('held', () => run(START + 1))
    await vi.waitFor(
      async () => expect(await other.resolveTick(name, { as: 'retry', reason: 'a test' })).toBe(START),
      { timeout: 20_000 },
    )
    expect(attempts).toEqual([])
    await until('ran', () => run(START))
    await until('ran', () => run(START + 1))
    expect(attempts).toEqual([2, 1])
    await close()
  }, 60_000)

  it.concurrent('keeps others away for atLeastMs', async () => {
    const { all, name, ttlMs, atMostMs, close } = await instances()
    const [one, other] = all as [(typeof all)[0], (typeof all)[0]]
    const atLeastMs = ttlMs * 2
    const run = (locks: typeof one, tick: number): Promise<TickOutcome<number>> =>
      locks.cron(name, { atMostMs, atLeastMs, tick }, () => performance.now())
    let ranAt = 0
    await vi.waitFor(
      async () => {
        const outcome = await run(one, START)
        expect(outcome.outcome).toBe('ran')
        if (outcome.outcome === 'ran') ranAt = outcome.value
      },
      { timeout: 20_000, interval: 100 },
    )
    await until('ran', () => run(other, START + 1))
    expect(performance.now() - ranAt).toBeGreaterThan(atLeastMs * 0.9)
    await close()
  }, 60_000)

  it.concurrent('deletes once, whoever asks', async () => {
    const { all, name, close } = await instances()
    const there = new Set(['a'])
    const outcomes = await Promise.all(
      all.map((locks) =>
        safeDelete(locks.write(name), {
          exists: () => there.has('a'),
          remove: async () => there.delete('a'),
        }),
      ),
    )
    expect(outcomes.filter((outcome) => outcome === 'deleted')).toHaveLength(1)
    const ids = Array.from({ length: 300 }, (_, index) => `id-${index}`)
    const left = new Set(ids)
    const remove = (some: readonly string[]) => some.filter((id) => left.delete(id)).length
    const counts = await Promise.all(
      all
        .slice(0, 3)
        .map((locks) => deleteInSegments({ locks, name, segments: 4, batchSize: 100, ids, remove })),
    )
    expect(left.size).toBe(0)
    expect(counts.reduce((sum, { deleted }) => sum + deleted, 0)).toBe(300)
    expect(counts.every(({ finished, lost, busy }) => finished && lost === 0 && busy === 0)).toBe(true)
    await close()
  }, 60_000)
}

describe('on top of locks in memory', () => {
  const backend = memoryLocks()
  worksOnTop(async () => ({ backends: [backend, backend], close: async () => {} }))
})

describe('on top of locks in SQLite', () => {
  worksOnTop(async () => {
    const folder = mkdtempSync(join(tmpdir(), 'onceward-on-top-'))
    const open = () => sqliteLocks(join(folder, 'locks.sqlite'))
    const backends = [open(), open()] as const
    await backends[0].migrate()
    const close = async () => {
      await Promise.all(backends.map((backend) => backend.close()))
      rmSync(folder, { recursive: true, force: true })
    }
    return { backends, close }
  })
})

await describeWith('redis', 'on top of locks in Redis', ({ redis }) => {
  worksOnTop(async () => {
    const node = await createClient({ url: redis.url }).connect()
    const io = new Redis(redis.url)
    const backends = [redisLocks(node, { prefix: 'on-top' }), redisLocks(io, { prefix: 'on-top' })] as const
    const close = async () => {
      await Promise.all(backends.map((backend) => backend.close()))
      node.destroy()
      io.disconnect()
    }
    return { backends, close }
  })
})

await describeWith('postgres', 'on top of locks in PostgreSQL', ({ postgres }) => {
  worksOnTop(async () => {
    const database = await postgres.createDatabase()
    const pools = [database.url, database.url].map((connectionString) => new pg.Pool({ connectionString }))
    const backends = pools.map((pool) => postgresLocks(pool)) as [FencingBackend, FencingBackend]
    await backends[0].migrate?.()
    const close = async () => {
      await Promise.all(backends.map((backend) => backend.close()))
      await Promise.all(pools.map((pool) => pool.end()))
      await database.drop()
    }
    return { backends, close }
  })
})

await describeWith('mariadb', 'on top of locks in MariaDB', ({ mariadb }) => {
  worksOnTop(async () => {
    const database = await mariadb.createDatabase()
    const pools = [database.url, database.url].map((uri) => createPool(uri))
    const backends = pools.map((pool) => mysqlLocks(pool)) as [FencingBackend, FencingBackend]
    await backends[0].migrate?.()
    const close = async () => {
      await Promise.all(backends.map((backend) => backend.close()))
      await Promise.all(pools.map((pool) => pool.end()))
      await database.drop()
    }
    return { backends, close }
  })
})

await describeWhere('etcd', 'on top of locks in etcd', () => {
  let etcd: TestServer
  beforeAll(async () => {
    etcd = await startEtcd()
  })
  afterAll(() => etcd.stop())
  worksOnTop(async () => {
    const open = () => etcdLocks([etcd.url], { timeoutMs: 15_000 })
    const backends = [open(), open()] as const
    const close = async () => {
      await Promise.all(backends.map((backend) => backend.close()))
    }
    return { backends, close }
  })
})

const { createClient: createZookeeper } = createRequire(import.meta.url)('node-zookeeper-client') as {
  createClient(
    servers: string,
    options: object,
  ): ZookeeperClient & { connect(): void; close(): void; once(event: string, listener: () => void): void }
}

await describeWhere('zookeeper', 'on top of locks in ZooKeeper', () => {
  let server: TestServer
  beforeAll(async () => {
    server = await startZookeeper()
  })
  afterAll(() => server?.stop())
  worksOnTop(async () => {
    const clients = [server.url, server.url].map((url) => createZookeeper(url, { sessionTimeout: 60_000 }))
    for (const client of clients) {
      await new Promise<void>((resolve) => {
        client.once('connected', resolve)
        client.connect()
      })
    }
    const backends = clients.map((client) => zookeeperLocks(client, { timeoutMs: 15_000 })) as [
      FencingBackend,
      FencingBackend,
    ]
    const close = async () => {
      await Promise.all(backends.map((backend) => backend.close()))
      for (const client of clients) client.close()
    }
    return { backends, close }
  })
})
