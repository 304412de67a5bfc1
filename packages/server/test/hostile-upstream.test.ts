import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createServer, type Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { gatewayBefore, sendRaw } from './support/servers.ts'

describe('an upstream that answers in its own way', () => {
  const steps: (() => unknown)[] = []
  afterEach(async () => {
    for (const step of steps.splice(0).reverse()) await step()
  })

  /** Starts a gateway before a service that answers each request, once it is whole, by `answer`. */
  const before = async (answer: (socket: Socket) => void): Promise<string> => {
    const server = createServer((socket) => {
      socket.on('error', () => {})
      socket.on('data', (bytes) => {
        if (String(bytes).includes('\r\n\r\n')) answer(socket)
      })
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    steps.push(() => server.close())
    const gateway = await gatewayBefore(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
    steps.push(() => gateway.stop())
    return gateway.url
  }
  const ask = (url: string, key?: string): Promise<string> =>
    sendRaw(
      url,
      `POST /p HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${key === undefined ? '' : `Idempotency-Key: ${key}\r\n`}Content-Length: 0\r\n\r\n`,
    )
  const saying = (text: string) => (socket: Socket) => void socket.write(text, 'latin1')

  it('may use any charset in its reason phrase', async () => {
    const url = await before(saying('HTTP/1.1 201 B\xb3\xb9d\r\nContent-Length: 2\r\n\r\nok'))
    expect(await ask(url)).toMatch(/^HTTP\/1\.1 201 Created\r\n[\s\S]*\r\n\r\nok$/)
  })

  it.each([304, 204])('may give a %i the length of the body it does not have', async (status) => {
    const url = await before(saying(`HTTP/1.1 ${status} x\r\nETag: "a"\r\nContent-Length: 5\r\n\r\n`))
    const own = new RegExp(`^HTTP/1\\.1 ${status} [\\s\\S]*ETag: "a"[\\s\\S]*\\r\\n\\r\\n$`)
    expect(await ask(url)).toMatch(own)
    expect(await ask(url, 'k')).toMatch(own)
    expect(await ask(url, 'k')).toMatch(/^HTTP\/1\.1 [23]04 [\s\S]*Idempotent-Replayed: true/)
  })

  it('is not believed to have finished when its connection is reset', async () => {
    const url = await before((socket) => {
      socket.write('HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhalf of', () => {
        setTimeout(() => socket.resetAndDestroy(), 50)
      })
    })
    expect(await ask(url, 'k')).toMatch(
      /^HTTP\/1\.1 502 [\s\S]*"code":"upstream-broken"[\s\S]*"effect":"unknown"/,
    )
    expect(await ask(url, 'k')).toMatch(/^HTTP\/1\.1 409 [\s\S]*"code":"outcome-unknown"/)
    // Without a key the header has gone out already: the answer must not end as if it were whole.
    expect(await ask(url)).not.toMatch(/\r\n0\r\n\r\n$/)
  })
})
