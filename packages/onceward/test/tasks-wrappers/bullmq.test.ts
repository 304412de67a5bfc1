/** Processors of BullMQ that run once, on a real Redis. */
import { randomUUID } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Job, Queue, QueueEvents, Worker, type WorkerOptions } from 'bullmq'
import { Redis } from 'ioredis'
import { afterEach, expect, it } from 'vitest'
import { describeWith } from '../../../../test-servers/index.mjs'
import { createOnce, isOncewardError, noEffect, type Once, type OnceOptions } from '../../src/core/index.ts'
import { redisStore } from '../../src/stores/redis/index.ts'
import { onceProcessor } from '../../src/tasks/wrappers/once-processor.ts'
import { deferred, killedWorker } from './wrapper-kit.ts'

interface Charge {
  readonly order: string
}

await describeWith('redis', 'processors of BullMQ', ({ redis }) => {
  const closing: (() => Promise<unknown>)[] = []
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close()
  })
  const connect = () => {
    const connection = new Redis(redis.url, { maxRetriesPerRequest: null })
    closing.push(() => connection.quit())
    return connection
  }
  const start = async () => {
    const name = `test-${randomUUID()}`
    const queue = new Queue<Charge, string>(name, { connection: connect() })
    const events = new QueueEvents(name, { connection: connect() })
    await events.waitUntilReady()
    closing.push(
      () => events.close(),
      () => queue.obliterate({ force: true }),
      () => queue.close(),
    )
    const engine = (options: Partial<OnceOptions> = {}): Once => {
      const once = createOnce({
        store: redisStore(connect(), { prefix: `${name}:once` }),
        scope: 'jobs',
        ...options,
      })
      closing.push(() => once.close())
      return once
    }
    const work = (
      processor: (job: Job<Charge, string>, token?: string, signal?: AbortSignal) => Promise<string>,
      options: Partial<WorkerOptions> = {},
    ) => {
      const worker = new Worker<Charge, string>(name, processor, { connection: connect(), ...options })
      // Told of each lock that was lost, which is what these tests bring about.
      worker.on('error', () => {})
      closing.push(() => worker.close(true))
      return worker
    }
    return { name, queue, events, engine, work }
  }
  /** A worker whose event loop stands still, as the others see it: it does not renew its lock. */
  const STANDS_STILL = { skipLockRenewal: true, lockDuration: 300, skipStalledCheck: true }
  const LOOKS_FOR_STALLED = { stalledInterval: 200 }
  const timeout = 10_000

  it('runs twice without the wrapper: a stalled job is given to the next worker while the first still runs', async () => {
    const { queue, events, work } = await start()
    const effects: string[] = []
    const bothRan = deferred()
    const processor = async ({ data }: Job<Charge>) => {
      effects.push(data.order)
      if (effects.length === 2) bothRan.resolve()
      await bothRan.promise
      return 'paid'
    }
    work(processor, STANDS_STILL)
    const job = await queue.add('charge', { order: 'a' })
    await expect.poll(() => effects.length, { timeout }).toBe(1)
    work(processor, LOOKS_FOR_STALLED)
    expect(await job.waitUntilFinished(events, 10_000)).toBe('paid')
    expect(effects).toEqual(['a', 'a'])
  }, 20_000)

  it('runs a stalled job once: the second worker waits for the first, and completes with its value', async () => {
    const { queue, events, engine, work } = await start()
    const effects: string[] = []
    const ends = deferred()
    const process = (who: string, once: Once) =>
      onceProcessor(once, async ({ data }: Job<Charge, string>, op) => {
        effects.push(`${data.order} by ${who}`)
        expect(op.fence).toBeGreaterThan(0)
        expect(op.downstreamKey('bank')).toMatch(/^[\w-]{43}$/)
        await ends.promise
        return `paid by ${who}`
      })
    work(process('one', engine()), STANDS_STILL)
    const job = await queue.add('charge', { order: 'a' })
    await expect.poll(() => effects.length, { timeout }).toBe(1)
    const second = work(process('two', engine()), LOOKS_FOR_STALLED)
    await new Promise((resolve) => second.once('active', resolve))
    ends.resolve()
    expect(await job.waitUntilFinished(events, 10_000)).toBe('paid by one')
    expect(effects).toEqual(['a by one'])
  }, 20_000)

  it('delays a job that runs elsewhere for longer than a delivery waits, and uses up none of its attempts', async () => {
    const { queue, events, engine, work } = await start()
    const ends = deferred()
    let runs = 0
    const process = (once: Once) =>
      onceProcessor(
        once,
        async () => {
          runs++
          await ends.promise
          return 'paid'
        },
        { waitMs: 50 },
      )
    work(process(engine()), STANDS_STILL)
    const job = await queue.add('charge', { order: 'a' }, { attempts: 1 })
    await expect.poll(() => runs, { timeout }).toBe(1)
    work(process(engine()), LOOKS_FOR_STALLED)
    await new Promise((resolve) => events.once('delayed', resolve))
    ends.resolve()
    expect(await job.waitUntilFinished(events, 10_000)).toBe('paid')
    expect(runs).toBe(1)
  }, 20_000)

  it('lets BullMQ retry what had no effect, and runs it again then', async () => {
    const { queue, events, engine, work } = await start()
    const attempts: number[] = []
    work(
      onceProcessor(engine(), async (_: Job<Charge, string>, op) => {
        attempts.push(op.attempt)
        if (op.attempt === 1) throw noEffect(new Error('the bank is closed'))
        return 'paid'
      }),
    )
    const job = await queue.add('charge', { order: 'a' }, { attempts: 3 })
    expect(await job.waitUntilFinished(events, 10_000)).toBe('paid')
    expect(attempts).toEqual([1, 2])
  }, 20_000)

  it('fails at once a job whose effect is unknown, and refuses it when somebody retries it by hand', async () => {
    const { queue, events, engine, work } = await start()
    let runs = 0
    const worker = work(
      onceProcessor(engine(), async () => {
        runs++
        throw new Error('no answer from the bank')
      }),
    )
    const failures: Error[] = []
    worker.on('failed', (_, error) => failures.push(error))
    const job = await queue.add('charge', { order: 'a' }, { attempts: 5 })
    await expect(job.waitUntilFinished(events, 10_000)).rejects.toThrow(/no answer from the bank/)
    await job.retry()
    await expect.poll(() => failures.length, { timeout }).toBe(2)
    expect(runs).toBe(1)
    for (const error of failures) {
      expect(error.name).toBe('UnrecoverableError')
      expect(isOncewardError(error.cause, 'OUTCOME_UNKNOWN')).toBe(true)
    }
  }, 20_000)

  it('finds out by reconcile what became of the job of a killed worker: one effect, and the job completes', async () => {
    const { name, queue, events, engine, work } = await start()
    const folder = mkdtempSync(join(tmpdir(), 'onceward-jobs-'))
    closing.push(async () => rmSync(folder, { recursive: true }))
    const sink = join(folder, 'sink')
    const job = await queue.add('charge', { order: 'a' })
    expect(await killedWorker({ queue: 'bullmq', url: redis.url, name, sink, leaseMs: 400 })).toBe('SIGKILL')
    const effects = () => readFileSync(sink, 'utf8').trim().split('\n')
    let runs = 0
    work(
      onceProcessor(
        engine(),
        async () => {
          runs++
          return 'paid again'
        },
        { reconcile: () => ({ outcome: 'done', value: `the bank knows of ${effects().length}` }) },
      ),
      LOOKS_FOR_STALLED,
    )
    expect(await job.waitUntilFinished(events, 15_000)).toBe('the bank knows of 1')
    expect([runs, effects()]).toEqual([0, ['a']])
  }, 40_000)

  it('tells at once that the claim of a running job is lost', async () => {
    const { queue, engine, work } = await start()
    const once = engine()
    const lost = deferred<string>()
    const store = { ...once.store, renew: async () => false }
    const losing = createOnce({ store, scope: 'jobs', leaseMs: 3000 })
    closing.push(() => losing.close())
    work(
      onceProcessor(
        losing,
        async (_: Job<Charge, string>, op) => {
          await new Promise((resolve) => op.signal.addEventListener('abort', resolve))
          return 'too late'
        },
        { onLost: (job, reason) => lost.resolve(`${job.data.order}: ${(reason as { code: string }).code}`) },
      ),
    )
    await queue.add('charge', { order: 'a' })
    expect(await lost.promise).toBe('a: CLAIM_LOST')
  }, 20_000)

  it('takes jobs with one key for one, whatever their ids, and refuses other data under it', async () => {
    const { queue, events, engine, work } = await start()
    let runs = 0
    work(
      onceProcessor(engine(), async () => `paid ${++runs}`, {
        keyOf: (job: Job<Charge, string>) => ['order', job.data.order],
        inputOf: (job) => job.data,
      }),
    )
    const add = async (data: Charge & { readonly amount?: number }) =>
      (await queue.add('charge', data)).waitUntilFinished(events, 10_000)
    expect(await add({ order: 'a' })).toBe('paid 1')
    expect(await add({ order: 'a' })).toBe('paid 1')
    expect(await add({ order: 'b' })).toBe('paid 2')
    await expect(add({ order: 'a', amount: 7 })).rejects.toThrow(/another input/)
  }, 20_000)
})
