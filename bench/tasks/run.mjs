// Tasks: creating in batches, claim + fenced complete by a worker, and whether claims stay as fast over a backlog and dead rows.
// Run: node bench/tasks/run.mjs [--database postgres] [--rounds 5] [--ms 700] [--backlog 1000000] (after a build)
import { interleave } from '../lib/interleave.mjs'
import { readOptions, withFolder } from '../lib/options.mjs'
import { report, table } from '../lib/report.mjs'
import { median, number, pairedRatio } from '../lib/statistics.mjs'
import { DATABASES, openLedgers } from './databases.mjs'
import { handWritten } from './floor.mjs'

const BATCHES = [1, 10, 50, 200]
const CREATED_AT_ONCE = 1000

/** So many claims are on their way at the same time by hand: more than one task at a time is no longer one. */
const floorLoops = (/** @type {number} */ batch) => (batch === 1 ? 1 : 2)

let nextOrder = 0
const options = readOptions({ database: '', rounds: 5, ms: 700, backlog: 1_000_000 })
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
      const floor =
        name === 'postgres' ? await handWritten(/** @type {import('pg').Pool} */ (ledgers.db)) : undefined
      const ours = [
        () => createRate(() => ledgers.tasks.create(orders(CREATED_AT_ONCE))),
        ...BATCHES.map((batch) => () => workRate(ledgers, batch)),
      ]
      const byHand = floor && [
        () => createRate(() => floor.create(CREATED_AT_ONCE)),
        ...BATCHES.map((batch) => () => floorRate(floor, batch)),
      ]
      const contestants = new Map([
        ['tasks', ours],
        ...(byHand ? [/** @type {const} */ (['by hand', byHand])] : []),
      ])
      /** @type {Map<string, number[]>[]} */
      const columns = []
      for (const column of ours.keys()) {
        columns.push(
          await interleave([...contestants.keys()], options.rounds, async (contestant) => {
            const measure = contestants.get(contestant)?.[column]
            return measure === undefined ? Number.NaN : measure()
          }),
        )
      }
      for (const contestant of contestants.keys()) {
        rates.push([
          name,
          contestant,
          ...columns.map((column) => number(median(column.get(contestant) ?? []))),
        ])
      }
      if (!floor) return
      const ratios = columns.map((column) =>
        pairedRatio(column.get('tasks') ?? [], column.get('by hand') ?? []),
      )
      rates.push([name, 'tasks ÷ by hand', ...ratios.map((ratio) => number(ratio, 2))])
      await overBacklog(ledgers)
    } finally {
      await ledgers.close()
    }
  })
}

report(options.database === '' ? 'tasks' : `tasks-${options.database}`, 'Tasks', [
  `${abouts.join('; ')}; one client process. Tasks have an external id and a small input. They are created ${number(CREATED_AT_ONCE)} a ` +
    `call, two calls at a time. A worker of this concurrency claims, runs an empty handler and completes. By hand the same is ` +
    'done by two statements, a claim and a completion, on a narrower table without history, policies and fences: one batch at a ' +
    `time where it is of one task, else two. Medians of ${options.rounds} interleaved rounds of ${options.ms} ms; a ratio is the ` +
    'median of the ratios within a round.',
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
  await fill(ledgers, enoughFor(batch))
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
  const there = await floor.pending()
  for (let count = there; count < enoughFor(batch); count += 5000) await floor.create(5000)
  const started = performance.now()
  let count = 0
  const loop = async () => {
    while (performance.now() - started < options.ms) {
      const got = await floor.work(batch)
      if (got === 0) break
      count += got
    }
  }
  await Promise.all(Array.from({ length: floorLoops(batch) }, loop))
  return perSecond(count, started)
}

/** How many tasks must be pending so that none of a round finds too few. @param {number} batch */
function enoughFor(batch) {
  return batch < 10 ? 10_000 : 60_000
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
