/** BullMQ on a real Redis. */
import { type Job, Queue, Worker, type WorkerOptions } from 'bullmq'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { describeWith } from '../../../../test-servers/index.mjs'
import { bullmqProcessor } from '../../src/inbox/index.ts'
import { sqliteInbox } from './brokers-kit.ts'

await describeWith('redis', 'bullmqProcessor', ({ redis }) => {
  let turn = 0
  let name: string
  let queue: Queue
  let workers: Worker[]
  let kit: Awaited<ReturnType<typeof sqliteInbox>>
  const connection = () => ({ host: redis.host, port: redis.port, maxRetriesPerRequest: null })

  beforeEach(async () => {
    name = `inbox-${process.pid}-${turn++}`
    workers = []
    kit = await sqliteInbox({ maxAttempts: 3 })
    queue = new Queue(name, { connection: connection() })
  })
  afterEach(async () => {
    await Promise.all(workers.map((worker) => worker.close(true)))
    await queue.obliterate({ force: true })
    await queue.close()
    await kit.close()
  })
  const work = <T>(processor: (job: Job) => Promise<T>, options: Partial<WorkerOptions> = {}) => {
    const worker = new Worker(name, processor, { connection: connection(), ...options })
    worker.on('error', () => {})
    workers.push(worker)
    return worker
  }
  const stateOf = (id: string | undefined) => queue.getJobState(id ?? '')
  const timeout = 10_000

  it('does not repeat the effect of a job that has stalled after its commit', async () => {
    const stuck = kit.watched(() => new Promise(() => {}))
    work(
      bullmqProcessor(stuck, (tx, job: Job) => kit.write(tx, `${job.id}`)),
      { lockDuration: 300, skipLockRenewal: true, skipStalledCheck: true },
    )
    const { id } = await queue.add('mail', {})
    await expect.poll(() => kit.outcomes, { timeout }).toEqual(['processed'])
    const processor = bullmqProcessor(
      kit.watched(),
      (tx, job: Job): string => {
        kit.write(tx, `${job.id}`)
        return 'sent'
      },
      { onDuplicate: () => 'sent before' },
    )
    work(processor, { stalledInterval: 200 })
    await expect.poll(() => stateOf(id), { timeout }).toBe('completed')
    expect(kit.outcomes).toEqual(['processed', 'duplicate'])
    expect(kit.effects()).toEqual([id])
    expect((await queue.getJob(id ?? ''))?.returnvalue).toBe('sent before')
  })

  it("leaves attempts to BullMQ, answers the handler's value, and counts each job of a queue by itself", async () => {
    const processor = bullmqProcessor(kit.watched(), (tx, job: Job) => {
      kit.write(tx, job.name)
      if (job.attemptsMade === 0) throw new Error('not yet')
      return { sent: job.name }
    })
    work(processor)
    const jobs = await queue.addBulk(
      ['a', 'b'].map((one) => ({ name: one, data: {}, opts: { attempts: 2 } })),
    )
    for (const { id } of jobs) await expect.poll(() => stateOf(id), { timeout }).toBe('completed')
    expect(kit.effects()).toEqual(['a', 'b'])
    expect((await queue.getJob(jobs[0]?.id ?? ''))?.returnvalue).toEqual({ sent: 'a' })
  })

  it('fails a dead job for good, with attempts left', async () => {
    const dead: (string | undefined)[] = []
    const processor = bullmqProcessor(
      kit.watched(),
      (_tx, _job: Job) => {
        throw new Error('poison')
      },
      { onDead: (job) => void dead.push(job.id) },
    )
    work(processor)
    const { id } = await queue.add('mail', {}, { attempts: 10 })
    await expect.poll(() => stateOf(id), { timeout }).toBe('failed')
    const job = await queue.getJob(id ?? '')
    expect(job?.attemptsMade).toBe(3)
    expect(job?.failedReason).toMatch(/dead after 3 failed attempts/)
    expect(dead).toEqual([id])
    expect(kit.effects()).toEqual([])
  })

  it('takes a job that is added again under its id for another one, unless told otherwise', async () => {
    work(bullmqProcessor(kit.watched(), (tx, job: Job) => kit.write(tx, `${job.id}`)))
    const addAndWait = async () => {
      await queue.add('mail', {}, { jobId: 'order-1' })
      await expect.poll(() => stateOf('order-1'), { timeout }).toBe('completed')
      await (await queue.getJob('order-1'))?.remove()
    }
    await addAndWait()
    await addAndWait()
    expect(kit.outcomes).toEqual(['processed', 'processed'])
    await Promise.all(workers.splice(0).map((worker) => worker.close()))
    work(bullmqProcessor(kit.watched(), (tx, job: Job) => kit.write(tx, `${job.id}`), { id: ({ id }) => id }))
    await addAndWait()
    await addAndWait()
    expect(kit.outcomes.slice(2)).toEqual(['processed', 'duplicate'])
  })
})
