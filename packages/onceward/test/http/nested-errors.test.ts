import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import Koa from 'koa'
import { afterEach, describe, expect, it } from 'vitest'
import { createOnce, finalFailure, noEffect, type Once } from '../../src/core/index.ts'
import { idempotency as koaIdempotency } from '../../src/http/koa.ts'
import { idempotency as nodeIdempotency } from '../../src/http/node.ts'
import { memoryStore } from '../../src/stores/memory/index.ts'

type Work = () => Promise<unknown>

/** Two ways in which a throw of a handler is answered: by the framework, and by nobody. */
const applications: Readonly<Record<string, (once: Once, work: Work) => RequestListener>> = {
  koa(once, work) {
    const app = new Koa()
    app.silent = true
    app.use(koaIdempotency({ once, scope: 'public' }))
    app.use(async (ctx) => {
      ctx.body = await work()
    })
    return app.callback()
  },
  node: (once, work) =>
    nodeIdempotency({ once, scope: 'public' })(async (_req, res) => {
      res.end(JSON.stringify(await work()))
    }),
}

const servers: Server[] = []
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => new Promise((resolve) => server.close(resolve))))
})

describe.each(Object.keys(applications))('a handler of %s that fails after its effect', (name) => {
  it.each([
    ['releases', noEffect],
    ['fails for good', finalFailure],
  ])('is held when what it throws comes from a nested operation that %s', async (_what, mark) => {
    const once = createOnce({ store: memoryStore(), scope: 's' })
    const inner = createOnce({ store: memoryStore(), scope: 'inner' })
    let charges = 0
    const handler = applications[name]?.(once, () => {
      charges++
      return inner.run({ key: 'k' }, () => {
        throw mark(new Error('about the inner one'))
      })
    })
    const server = createServer(handler).listen(0, '127.0.0.1')
    servers.push(server)
    await new Promise((resolve) => server.once('listening', resolve))
    const post = async () => {
      const { port } = server.address() as AddressInfo
      const headers = { 'Idempotency-Key': 'k', Connection: 'close' }
      const response = await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', headers })
      return { status: response.status, text: await response.text() }
    }
    const first = await post()
    expect(first.status).toBe(500)
    expect(first.text).not.toContain('"effect":"none"')
    expect(await post()).toMatchObject({ status: 409, text: expect.stringContaining('outcome-unknown') })
    expect(charges).toBe(1)
  })
})
