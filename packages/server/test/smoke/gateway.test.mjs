/** The built command as a user starts it: a gateway before the example payment service. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once as event } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { fileURLToPath } from 'node:url'

const file = (path) => fileURLToPath(new URL(`../../../../${path}`, import.meta.url))

/** Starts a program and waits until it tells where it listens. */
async function start(path, args, env = {}) {
  const child = spawn(process.execPath, [file(path), ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let said = ''
  const ended = event(child, 'close')
  const url = await new Promise((resolve, reject) => {
    child.stdout.on('data', (chunk) => {
      said += chunk
      const found = /listening on (http:\/\/\S+:\d+)/.exec(said)?.[1]
      if (found) resolve(found)
    })
    ended.then(() => reject(new Error(`${path} ended: ${said}`)), reject)
  })
  const stop = async () => {
    child.kill('SIGTERM')
    return (await ended)[0]
  }
  return { url, stop }
}

test('two parallel payments through the gateway are charged once and answered twice', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'onceward-smoke-'))
  const payments = await start('examples/payments/server.js', [], { PORT: '0' })
  const store = ['--store', `sqlite:${join(folder, 'store.sqlite')}`]
  const gateway = await start('packages/server/bin/onceward.js', [
    'gateway',
    ...['--upstream', payments.url, '--scope', 'public', '--port', '0', '--admin-port', '0', ...store],
  ])
  try {
    const pay = () =>
      fetch(`${gateway.url}/payments`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'idempotency-key': 'order-1' },
        body: '{"order":"1","amount":4200,"currency":"EUR"}',
      })
    const [first, second] = await Promise.all([pay(), pay()])
    assert.deepEqual([first.status, second.status], [201, 201])
    assert.equal(await first.text(), await second.text())
    const charged = await (await fetch(`${gateway.url}/payments`)).json()
    assert.equal(charged.length, 1)
  } finally {
    const codes = [await gateway.stop(), await payments.stop()]
    rmSync(folder, { recursive: true, force: true })
    assert.deepEqual(codes, [0, 0])
  }
})
