/** The examples are run as a reader would run them, against the built packages. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, it } from 'vitest'
import { describeWith } from '../test-servers/index.mjs'

const example = (path: string): string => fileURLToPath(new URL(path, import.meta.url))
const started: ChildProcess[] = []

/** Starts a service and answers where it listens. */
async function start(path: string, env: Readonly<Record<string, string>> = {}): Promise<string> {
  const child = spawn(process.execPath, [example(path)], {
    env: { ...process.env, PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  started.push(child)
  return await new Promise((resolve, reject) => {
    child.on('exit', (code) => reject(new Error(`${path} ended with ${code}`)))
    child.stdout.on('data', (chunk: Buffer) => {
      const url = /listening on (\S+)/.exec(String(chunk))?.[1]
      if (url) resolve(url)
    })
  })
}

afterEach(async () => {
  await Promise.all(
    started.splice(0).map(async (child) => {
      if (child.exitCode !== null || child.signalCode !== null) return
      const ended = new Promise((resolve) => child.once('exit', resolve))
      child.kill('SIGTERM')
      await ended
    }),
  )
})

describe('the example payment service', () => {
  const pay = (url: string, body: object): Promise<Response> =>
    fetch(`${url}/payments`, {
      method: 'POST',
      body: JSON.stringify(body),
      headers: { 'idempotency-key': 'k' },
    })

  it('knows nothing of idempotency: two equal payments are two charges, key or not', async () => {
    const url = await start('payments/server.js')
    const payment = { order: '1', amount: 4200, currency: 'EUR' }
    const [first, second] = await Promise.all([pay(url, payment), pay(url, payment)])
    expect([first.status, second.status]).toEqual([201, 201])
    const charges = (await (await fetch(`${url}/payments`)).json()) as unknown[]
    expect(charges).toHaveLength(2)
    expect(charges[0]).toMatchObject(payment)
  })

  it('refuses what is not a payment', async () => {
    const url = await start('payments/server.js')
    expect((await pay(url, { order: '1' })).status).toBe(400)
    expect((await fetch(`${url}/elsewhere`)).status).toBe(404)
  })
})

it('the library example charges in its first run and not in its second', () => {
  const folder = mkdtempSync(join(tmpdir(), 'onceward-example-'))
  try {
    const run = (): string =>
      execFileSync(process.execPath, [example('library/charge.js'), join(folder, 'p.sqlite')], {
        encoding: 'utf8',
      })
    const [first, second] = [run(), run()]
    expect(first).toContain('charging…')
    expect(first).toContain(second)
    expect(second).toMatch(/^order 42 was charged at \S+Z\n$/)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

it('the Express example takes one order for two requests with one key, and keeps customers apart', async () => {
  const url = await start('express-middleware/server.js')
  const order = async (customer: string): Promise<unknown> => {
    const headers = { 'idempotency-key': 'order-1', 'x-customer': customer }
    return (await fetch(`${url}/orders`, { method: 'POST', headers })).json()
  }
  const [first, second] = await Promise.all([order('ann'), order('ann')])
  expect(first).toEqual({ order: 1, customer: 'ann' })
  expect(second).toEqual(first)
  expect(await order('bob')).toEqual({ order: 2, customer: 'bob' })
})

await describeWith('postgres', 'the example order service on PostgreSQL', ({ postgres }) => {
  it('takes one order for 20 requests with one key to two processes, whichever of them is killed', async () => {
    const database = await postgres.createDatabase()
    try {
      const env = { DATABASE_URL: database.url }
      const first = await start('orders-postgres/server.js', env)
      const second = await start('orders-postgres/server.js', env)
      const take = async (url: string, customer: string, cart: string): Promise<unknown> => {
        const response = await fetch(`${url}/orders`, {
          method: 'POST',
          headers: {
            'idempotency-key': 'order-1',
            'x-customer': customer,
            'content-type': 'application/json',
          },
          body: JSON.stringify({ cart, total: 4200 }),
        })
        return { status: response.status, ...((await response.json()) as object) }
      }
      const taken = Array.from({ length: 20 }, (_, index) => take(index % 2 ? first : second, 'ann', 'a'))
      const order = { status: 201, id: 1, customer: 'ann', cart: 'a', total: 4200 }
      expect(new Set((await Promise.all(taken)).map((one) => JSON.stringify(one)))).toHaveLength(1)
      expect(await taken[0]).toEqual(order)

      started[0]?.kill('SIGKILL')
      expect(await take(second, 'ann', 'a')).toEqual(order)
      expect(await take(second, 'ann', 'b')).toMatchObject({
        status: 422,
        code: 'KEY_REUSED',
        effect: 'none',
      })
      expect(await take(second, 'bob', 'b')).toMatchObject({ status: 201, customer: 'bob' })
      expect(await (await fetch(`${second}/orders`)).json()).toHaveLength(2)
    } finally {
      await database.drop()
    }
  })
})
