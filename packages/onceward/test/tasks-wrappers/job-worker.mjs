// A process that works for a queue, and kills itself in the middle of a job, after its effect.
// node job-worker.mjs '{"queue": "bullmq" | "graphile", "url", "name", "sink", "leaseMs"}'
import { appendFileSync } from 'node:fs'
import { createOnce } from 'onceward'
import { postgresStore } from 'onceward/postgres'
import { redisStore } from 'onceward/redis'
import { onceProcessor } from '../../dist/tasks/wrappers/once-processor.js'
import { onceTask } from '../../dist/tasks/wrappers/once-task.js'

const { queue, url, name, sink, leaseMs } = JSON.parse(process.argv[2] ?? '{}')

/** @returns {never} */
function effectThenDeath(/** @type {string} */ what) {
  appendFileSync(sink, `${what}\n`)
  process.kill(process.pid, 'SIGKILL')
  throw new Error('still alive')
}

if (queue === 'bullmq') {
  const { Worker } = await import('bullmq')
  const { Redis } = await import('ioredis')
  const store = redisStore(new Redis(url), { prefix: `${name}:once` })
  const once = createOnce({ store, scope: 'jobs', leaseMs })
  const connection = new Redis(url, { maxRetriesPerRequest: null })
  const process_ = onceProcessor(once, async (/** @type {import('bullmq').Job} */ job) =>
    effectThenDeath(job.data.order),
  )
  new Worker(name, process_, { connection, lockDuration: 500, stalledInterval: 200 })
} else {
  const { run } = await import('graphile-worker')
  const { default: pg } = await import('pg')
  const store = postgresStore(new pg.Pool({ connectionString: url }), { autoMigrate: true })
  const once = createOnce({ store, scope: 'jobs', leaseMs })
  const charge = onceTask(once, async (/** @type {{ order: string }} */ payload) =>
    effectThenDeath(payload.order),
  )
  const { Logger } = await import('graphile-worker')
  await run({
    connectionString: url,
    taskList: { charge },
    noHandleSignals: true,
    logger: new Logger(() => () => {}),
  })
}
