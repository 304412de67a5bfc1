// Starts the workers, troubles them, and checks the numbers at the end. Needs DATABASE_URL and REDIS_URL. See README.md.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { postgresLocks } from 'onceward/locks/postgres'
import pg from 'pg'
import { leftToDo, openShop, takeStock } from './shop.js'

const { values: options } = parseArgs({
  options: {
    locks: { type: 'string', default: 'redis' },
    workers: { type: 'string', default: '10' },
    orders: { type: 'string', default: '800' },
    carts: { type: 'string', default: '3000' },
    seconds: { type: 'string', default: '60' },
    'without-fences': { type: 'boolean', default: false },
  },
})
if (options.locks !== 'redis' && options.locks !== 'postgres')
  throw new TypeError('--locks redis or --locks postgres')

const WORKER = fileURLToPath(new URL('worker.js', import.meta.url))
const random = (least, most) => least + Math.random() * (most - least)
const oneOf = (list) => list[Math.floor(Math.random() * list.length)]

const env = { ...process.env, LOCKS: options.locks, FENCES: options['without-fences'] ? 'off' : 'on' }
const pool = new pg.Pool({
  connectionString: env.DATABASE_URL,
  options: '-c search_path=cancel_orders',
  max: 4,
})
pool.on('error', () => {})

/** Who works, by process. */
const workers = new Map()
const stopped = new Set()
const did = { kills: 0, pauses: 0, started: 0 }
let troubling = true
const troubles = []

async function startWorker() {
  const name = `worker-${++did.started}`
  const child = spawn(process.execPath, [WORKER], {
    env: { ...env, WORKER: name },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  workers.set(child, name)
  child.once('exit', (code, signal) => {
    workers.delete(child)
    stopped.delete(child)
    if (signal !== 'SIGKILL' && code !== 0) troubles.push(`${name} ended with ${code ?? signal}`)
  })
  await Promise.race([once(child.stdout, 'data'), once(child, 'exit')])
}

/** Stops a process for longer than its locks hold, and lets it go on. */
async function stopOne() {
  const child = oneOf([...workers.keys()].filter((one) => !stopped.has(one)))
  if (!child || stopped.size >= workers.size / 2) return
  did.pauses++
  stopped.add(child)
  child.kill('SIGSTOP')
  await pause(random(1200, 3000))
  child.kill('SIGCONT')
  stopped.delete(child)
}

async function killOne() {
  const child = oneOf([...workers.keys()])
  if (!child) return
  did.kills++
  workers.delete(child)
  child.kill('SIGKILL')
  await once(child, 'exit')
  await startWorker()
}

async function trouble() {
  // At least one of each, however fast the work is done.
  const busy = [stopOne(), killOne()]
  while (troubling) {
    await pause(random(200, 500))
    if (troubling) busy.push(Math.random() < 0.85 ? stopOne() : killOne())
  }
  await Promise.all(busy)
}

async function endWorkers() {
  const children = [...workers.keys()]
  const ended = children.map((child) => once(child, 'exit'))
  for (const child of children) child.kill('SIGCONT')
  for (const child of children) child.kill('SIGTERM')
  await Promise.all(ended)
}

async function doneBy(deadline) {
  while ((await leftToDo(pool)) > 0 && performance.now() < deadline) await pause(200)
}

async function run() {
  const begun = await openShop(pool, { orders: Number(options.orders), carts: Number(options.carts) })
  if (options.locks === 'postgres') await postgresLocks(pool).migrate()
  const from = performance.now()
  await Promise.all(Array.from({ length: Number(options.workers) }, startWorker))
  console.log(
    `${workers.size} workers, ${begun.unpaid} unpaid orders, ${begun.expired} expired carts; locks in ${options.locks}`,
  )
  const troubled = trouble()
  await doneBy(from + Number(options.seconds) * 1000)
  troubling = false
  await troubled
  // On a slow machine the rest is done in peace.
  await doneBy(performance.now() + 240_000)
  // Those that were stopped have come back by now, and have tried what they were about to do.
  await endWorkers()
  const { count, checks } = await takeStock(pool, begun)
  const seconds = ((performance.now() - from) / 1000).toFixed(1)
  console.log(
    `${seconds} s; ${did.pauses} times a process was stopped past its locks, ${did.kills} were killed`,
  )
  console.log(`${count.refused} late writes refused by the database`)
  for (const [what, found, due] of checks) {
    console.log(
      `${found === due ? 'ok   ' : 'WRONG'} ${what}: ${found}${found === due ? '' : `, not ${due}`}`,
    )
  }
  for (const one of troubles) console.log(`WRONG ${one}`)
  return troubles.length === 0 && checks.every(([, found, due]) => found === due)
}

try {
  process.exitCode = (await run()) ? 0 : 1
} finally {
  troubling = false
  for (const child of workers.keys()) child.kill('SIGKILL')
  await pool.query('DROP SCHEMA IF EXISTS cancel_orders CASCADE').catch(() => {})
  await pool.end()
}
