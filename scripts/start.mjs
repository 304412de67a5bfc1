// npm start: the gateway, with SQLite, before an example payment service that knows nothing of idempotency.
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { ensureBuilt } from './house/build.mjs'
import { ensureInstalled } from './house/install.mjs'
import { main } from './house/main.mjs'
import { ROOT } from './house/paths.mjs'

refuseArguments(process.argv.slice(2))
const PORT = portFrom('PORT', 8080)
const ADMIN_PORT = portFrom('ADMIN_PORT', PORT + 1)
const PAYMENTS_PORT = portFrom('PAYMENTS_PORT', PORT + 2)

await main(async () => {
  await ensureInstalled()
  await ensureBuilt()
  for (const [name, port] of Object.entries({ PORT, ADMIN_PORT, PAYMENTS_PORT }))
    await refuseTakenPort(name, port)

  const folder = join(ROOT, '.onceward')
  mkdirSync(folder, { recursive: true })
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => stop.abort())

  const payments = startProgram('examples/payments/server.js', [], { PORT: String(PAYMENTS_PORT) })
  const gateway = startProgram('packages/server/bin/onceward.js', [
    'gateway',
    ...['--upstream', `http://127.0.0.1:${PAYMENTS_PORT}`],
    ...['--scope', 'public'],
    ...['--port', String(PORT)],
    ...['--admin-port', String(ADMIN_PORT)],
    ...['--store', `sqlite:${join(folder, 'start.sqlite')}`],
  ])
  try {
    await Promise.race([
      Promise.all([payments.says('listening on'), gateway.says('listening on')]),
      aborted(stop.signal),
    ])
    if (!stop.signal.aborted) console.log(whatToTry())
    await Promise.race([payments.ended, gateway.ended, aborted(stop.signal)])
    if (!stop.signal.aborted) throw new Error('One of the two has ended by itself; stopping the other.')
  } finally {
    // The gateway first: it finishes what runs, and for that it needs the service behind it.
    await gateway.stop()
    await payments.stop()
  }
  console.log('Stopped.')
})

/** A fresh key for each start: the store remembers yesterday's payments, the example service forgets them. */
function whatToTry() {
  const order = randomBytes(3).toString('hex')
  const url = `http://127.0.0.1:${PORT}/payments`
  const pay = `curl -s -i -w '\\n' ${url} -H 'content-type: application/json' -H 'idempotency-key: order-${order}' -d '{"order":"${order}","amount":4200,"currency":"EUR"}'`
  return `
The gateway is on port ${PORT}, the payment service it protects on port ${PAYMENTS_PORT}. Try, in another terminal:

1. The same payment twice in parallel. Both get the same answer:

for i in 1 2; do ${pay} & done; wait

2. Once more, as a retry would. It is answered from memory ("idempotent-replayed: true"):

${pay}

3. What was charged. One payment:

curl -s -w '\\n' ${url}

4. What the gateway remembers:

npx onceward ls --store sqlite:.onceward/start.sqlite

Ctrl-C stops both.`
}

/**
 * @param {string} file
 * @param {readonly string[]} args
 * @param {Record<string, string>} env
 */
function startProgram(file, args, env = {}) {
  // In a group of its own, so that Ctrl-C reaches us alone and we stop the two in order.
  const child = spawn(process.execPath, [join(ROOT, file), ...args], {
    cwd: ROOT,
    detached: true,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(child, 'close')
  // If we are stopped the hard way, nothing may stay behind.
  process.once('exit', () => child.kill('SIGKILL'))
  const said = new Promise((resolve) => {
    let text = ''
    child.stdout.on('data', (chunk) => {
      process.stdout.write(chunk)
      text = (text + chunk).slice(-4096)
      if (text.includes('listening on')) resolve(undefined)
    })
  })
  return {
    ended,
    /** Resolves once it has said `words`; rejects if it ends before. */
    async says(/** @type {string} */ words) {
      const early = ended.then(() => Promise.reject(new Error(`${file} ended before it was "${words}"`)))
      await Promise.race([said, early])
    },
    async stop() {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM')
      await ended
    },
  }
}

function aborted(/** @type {AbortSignal} */ signal) {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(undefined)
    else signal.addEventListener('abort', () => resolve(undefined), { once: true })
  })
}

/** Whoever gives an argument means something by it; to start on other ports than those would surprise. */
function refuseArguments(/** @type {readonly string[]} */ args) {
  if (args.length === 0) return
  console.error(
    `npm start takes no arguments, not ${args.join(' ')}; choose ports by PORT=9080 ADMIN_PORT=9081 PAYMENTS_PORT=9082 npm start`,
  )
  process.exit(2)
}

function portFrom(/** @type {string} */ name, /** @type {number} */ otherwise) {
  const text = process.env[name]
  if (text === undefined || text === '') return otherwise
  const port = Number(text)
  if (Number.isInteger(port) && port > 0 && port < 65_536) return port
  console.error(`${name}=${text} is not a port; give a number from 1 to 65535`)
  process.exit(2)
}

async function refuseTakenPort(/** @type {string} */ name, /** @type {number} */ port) {
  const probe = createServer()
  probe.listen(port, '127.0.0.1')
  try {
    await once(probe, 'listening')
  } catch (error) {
    const { code } = /** @type {NodeJS.ErrnoException} */ (error)
    const why = code === 'EADDRINUSE' ? 'is in use' : `cannot be used (${code})`
    throw new Error(`Port ${port} ${why}. Choose another: ${name}=${port + 1000} npm start`)
  }
  probe.close()
  await once(probe, 'close')
}
