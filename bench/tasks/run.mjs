// Tasks: creating in batches, claim + fenced complete by a worker, and whether claims stay as fast over a backlog and dead rows.
// Run: node bench/tasks/run.mjs [--database postgres] [--ms 1500] [--backlog 1000000] (after a build)
import { readOptions, withFolder } from '../lib/options.mjs'
import { report, table } from '../lib/report.mjs'
import { median, number } from '../lib/statistics.mjs'
import { DATABASES, openLedgers } from './databases.mjs'
import { handWritten } from './floor.mjs'

const BATCHES = [1, 10, 50, 200]
const CREATED_AT_ONCE = 1000
const FLOOR_PROCESSES = 2

let nextOrder = 0
const options = readOptions({ database: '', ms: 1500, backlog: 1_000_000 })
/** @type {(string | number)[][]} */
const rates = []
/** @type {(string | number)[][]} */
const backlogs = []
/** @type {string[]} */
const abouts = []

for (const name of DATABASES.filter((one) => options.database === '' || one === options.database)) {
  await withFolder(async (folder) => {
    const ledgers = await openLedgers(name, folder)
    abouts.push(ledgers.about)
    try {
      const created = await createRate(() => ledgers.tasks.create(orders(CREATED_AT_ONCE)))
      const worked = []
      for (const batch of BATCHES) worked.push(await workRate(ledgers, batch))
      rates.push([name, 'tasks', ...[created, ...worked].map((rate) => number(rate))])
      if (name !== 'postgres') return
      const pool = /** @type {import('pg').Pool} */ (ledgers.db)
      const floor = await handWritten(pool)
      const floorCreated = await createRate(() => floor.create(CREATED_AT_ONCE))
      const floorWorked = []
      for (const batch of BATCHES) floorWorked.push(await floorRate(floor, batch))
      rates.push([
        name,
        'two statements by hand',
        ...[floorCreated, ...floorWorked].map((rate) => number(rate)),
      ])
      await overBacklog(ledgers)
    } finally {
      await ledgers.close()
    }
  })
}

report(options.database === '' ? 'tasks' : `tasks-${options.database}`, 'Tasks', [
  `${abouts.join('; ')}; one client process. Tasks have an external id and a small input. They are created ${number(CREATED_AT_ONCE)} a ` +
    `call, two calls at a time. A worker of this concurrency claims, runs an empty handler and completes, over ${options.ms} ms; ` +
    `the floor does so with statements written by hand, ${FLOOR_PROCESSES} batches at a time.`,
  '## Tasks a second',
  table(
    [
      'database',
      'contestant',
      'created',
      ...BATCHES.map((batch) => `claimed and completed, ${batch} at a time`),
    ],
    rates,
  ),
  '## Over a backlog on PostgreSQL, 50 at a time',
  table(['what lies in the table', 'tasks/s', 'a claim, ms'], backlogs),
])

/** @param {number} count */
function orders(count) {
  return Array.from({ length: count }, () => ({
    userId: 'u',
    actionType: 'work',
    taskId: `order ${nextOrder++}`,
    input: { n: 1 },
  }))
}

/** @param {() => Promise<unknown>} create */
async function createRate(create) {
  await create()
  const started = performance.now()
  let count = 0
  const loop = async () => {
    while (performance.now() - started < options.ms) {
      await create()
      count += CREATED_AT_ONCE
    }
  }
  await Promise.all([loop(), loop()])
  return perSecond(count, started)
}

/** @param {Awaited<ReturnType<typeof openLedgers>>} ledgers @param {number} batch */
async function workRate(ledgers, batch) {
  await fill(ledgers, batch < 10 ? 10_000 : 60_000)
  let done = 0
  const stopListening = ledgers.listen(({ type }) => {
    if (type === 'done') done++
  })
  const worker = ledgers.tasks.worker({ handlers: { work: () => {} }, concurrency: batch, batchSize: batch })
  await until(() => done > 0)
  const from = done
  const started = performance.now()
  await new Promise((resolve) => setTimeout(resolve, options.ms))
  const rate = perSecond(done - from, started)
  await worker.stop()
  stopListening()
  return rate
}

/** @param {Awaited<ReturnType<typeof handWritten>>} floor @param {number} batch */
async function floorRate(floor, batch) {
  for (let count = 0; count < (batch < 10 ? 10_000 : 60_000); count += 5000) await floor.create(5000)
  const started = performance.now()
  let count = 0
  const loop = async () => {
    while (performance.now() - started < options.ms) {
      const got = await floor.work(batch)
      if (got === 0) break
      count += got
    }
  }
  await Promise.all(Array.from({ length: FLOOR_PROCESSES }, loop))
  return perSecond(count, started)
}

/** Keeps enough tasks pending. @param {Awaited<ReturnType<typeof openLedgers>>} ledgers @param {number} enough */
async function fill({ tasks }, enough) {
  const { counts } = await tasks.stats()
  const there = counts.find(({ state }) => state === 'pending')?.count ?? 0
  for (let count = there; count < enough; count += 5000) await tasks.create(orders(5000))
}

/** @param {Awaited<ReturnType<typeof openLedgers>>} ledgers */
async function overBacklog(ledgers) {
  const pool = /** @type {import('pg').Pool} */ (ledgers.db)
  /** @param {number} count @param {string} action @param {string} state */
  const stuff = (count, action, state) =>
    pool.query(
      `INSERT INTO onceward_tasks (id, user_id, action_type, state, on_crash, run_at, attempt, max_attempts, fence,
        lease_until, created_at, changed_at, history)
      SELECT gen_random_uuid(), 'u', $2::text, $3::text, 'hold', n, 0, 5, 0, 0, 0, 0, '[]' FROM generate_series(1, $1::bigint) AS n`,
      [count, action, state],
    )
  const measure = async (/** @type {string} */ what) => {
    const rate = await workRate(ledgers, 50)
    const times = []
    const client = await pool.connect()
    for (let round = 0; round < 30; round++) {
      await client.query('BEGIN')
      const started = performance.now()
      await client.query(`SELECT id FROM onceward_task_claim('["work"]', 50, 'bench', 30000)`)
      times.push(performance.now() - started)
      await client.query('ROLLBACK')
    }
    client.release()
    backlogs.push([what, number(rate), number(median(times), 2)])
  }
  await pool.query('TRUNCATE onceward_tasks')
  await pool.query('ALTER TABLE onceward_tasks SET (autovacuum_enabled = off)')
  await measure('nothing else')
  await stuff(options.backlog, 'work', 'pending')
  await measure(`${number(options.backlog)} pending tasks`)
  await stuff(100_000, 'work', 'pending')
  await pool.query(`DELETE FROM onceward_tasks WHERE run_at <= 100000 AND action_type = 'work'`)
  await measure(`the same, and 100,000 dead rows that no vacuum has removed`)
}

/** @param {() => boolean} condition */
async function until(condition) {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5))
}

/** @param {number} count @param {number} started */
function perSecond(count, started) {
  return (count * 1000) / (performance.now() - started)
}
