import {
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http'
import type { AddressInfo } from 'node:net'
import { finished, pipeline, Readable } from 'node:stream'
import { createGzip, gunzipSync, gzipSync } from 'node:zlib'
import { afterEach, describe, expect, it } from 'vitest'
import { createOnce } from '../core/create-once.ts'
import type { Once } from '../core/once-types.ts'
import { memoryStore } from '../stores/memory/index.ts'
import { idempotency, type NodeHandler } from './node.ts'

const servers: Server[] = []
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    server.close()
  }
})

interface Answer {
  readonly status: number
  readonly message: string
  readonly headers: IncomingMessage['headers']
  readonly trailers: IncomingMessage['trailers']
  readonly body: Buffer
}

type Wrap = (req: IncomingMessage, res: ServerResponse) => void

/** Starts a guarded handler; `before` sees the response before the guard does. */
async function start(
  handler: NodeHandler,
  before: Wrap = () => {},
  once: Once = createOnce({ store: memoryStore(), scope: 'test' }),
): Promise<(key: string) => Promise<Answer>> {
  const guarded = idempotency({ once, scope: 'public', maxResponseBytes: 1000 })(handler)
  const server = createServer((req, res) => {
    before(req, res)
    guarded(req, res)
  })
  server.listen(0, '127.0.0.1')
  servers.push(server)
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as AddressInfo
  return (key) =>
    new Promise((resolve, reject) => {
      const headers = { 'idempotency-key': key }
      const client = httpRequest(
        { port, host: '127.0.0.1', method: 'POST', headers, agent: false },
        async (res) => {
          const chunks: Buffer[] = []
          for await (const chunk of res) chunks.push(chunk as Buffer)
          resolve({
            status: res.statusCode as number,
            message: res.statusMessage as string,
            headers: res.headers,
            trailers: res.trailers,
            body: Buffer.concat(chunks),
          })
        },
      )
      client.on('error', reject)
      client.end()
    })
}

describe('a handler whose response is held back', () => {
  it.each<[string, NodeHandler]>([
    ['an object', (_, res) => res.writeHead(201, { 'Content-Type': 'a/b', Link: ['<1>', '<2>'] }).end('x')],
    [
      'a flat list',
      (_, res) => res.writeHead(201, ['Content-Type', 'a/b', 'Link', '<1>', 'Link', '<2>']).end('x'),
    ],
    [
      'a message and an object',
      (_, res) => res.writeHead(201, 'Well done', { 'Content-Type': 'a/b', Link: ['<1>', '<2>'] }).end('x'),
    ],
    [
      'setHeader before',
      (_, res) => {
        res.setHeader('Content-Type', 'a/b')
        res.setHeader('Link', ['<1>', '<2>'])
        res.writeHead(201)
        res.write('x')
        res.end()
      },
    ],
  ])('may give its fields to writeHead as %s', async (_, handler) => {
    const ask = await start(handler)
    const [first, again] = [await ask('k'), await ask('k')]
    for (const { status, headers, body } of [first, again]) {
      expect({ status, body: body.toString() }).toEqual({ status: 201, body: 'x' })
      expect(headers).toMatchObject({ 'content-type': 'a/b', link: '<1>, <2>', 'content-length': '1' })
    }
    expect(again.headers['idempotent-replayed']).toBe('true')
  })

  it('keeps the message of its status for its own caller', async () => {
    const ask = await start((_, res) => res.writeHead(201, 'Well done').end())
    expect((await ask('k')).message).toBe('Well done')
  })

  it('sees its response as sent', async () => {
    const seen: unknown[] = []
    const ask = await start((_, res) => {
      seen.push(res.headersSent, res.writableEnded)
      res.flushHeaders()
      seen.push(res.headersSent, res.writableEnded)
      expect(() => res.setHeader('a', 'b')).toThrow(
        expect.objectContaining({ code: 'ERR_HTTP_HEADERS_SENT' }),
      )
      expect(() => res.writeHead(200)).toThrow(expect.objectContaining({ code: 'ERR_HTTP_HEADERS_SENT' }))
      res.write('a', () => seen.push('written'))
      res.end('b', () => seen.push('ended'))
      seen.push(res.writableEnded)
      expect(res.write('late')).toBe(false)
    })
    expect((await ask('k')).body.toString()).toBe('ab')
    await expect.poll(() => seen).toEqual([false, false, true, false, true, 'written', 'ended'])
  })

  it('may answer by a pipeline, which learns of its end', async () => {
    let ended: unknown = 'not yet'
    const ask = await start((_, res) => {
      pipeline(Readable.from([Buffer.from('one '), Buffer.from('two')]), res, (error) => {
        ended = error
      })
    })
    expect((await ask('k')).body.toString()).toBe('one two')
    await expect.poll(() => ended).toBeUndefined()
    expect((await ask('k')).body.toString()).toBe('one two')
  })

  it('may reuse the memory of a chunk at once', async () => {
    const ask = await start((_, res) => {
      const memory = Buffer.from('first')
      res.write(memory)
      memory.fill('x')
      res.end()
    })
    expect((await ask('k')).body.toString()).toBe('first')
  })

  it('is held when it breaks its response off', async () => {
    const ask = await start((_, res) => {
      res.write('half of it')
      res.destroy(new Error('broken'))
    })
    expect(await ask('k')).toMatchObject({ status: 500 })
    expect(JSON.parse((await ask('k')).body.toString())).toMatchObject({ code: 'outcome-unknown' })
  })

  it('learns of a status that does not exist', async () => {
    const ask = await start((_, res) => {
      expect(() => res.writeHead(42)).toThrow(RangeError)
      res.writeHead(200).end('ok')
    })
    expect((await ask('k')).body.toString()).toBe('ok')
  })

  it('may send trailers, which reach its own caller', async () => {
    const ask = await start((_, res) => {
      res.setHeader('Trailer', 'X-Sum')
      res.write('body')
      res.addTrailers({ 'X-Sum': '42' })
      res.end()
    })
    const [first, again] = [await ask('k'), await ask('k')]
    expect(first.trailers).toEqual({ 'x-sum': '42' })
    expect([first.body.toString(), again.body.toString()]).toEqual(['body', 'body'])
    expect(again.headers.trailer).toBeUndefined()
  })

  it('streams on beyond the cap, in order', async () => {
    const parts = Array.from({ length: 30 }, (_, n) => `${n};`.repeat(50))
    const ask = await start((_, res) => {
      Readable.from(parts.map((part) => Buffer.from(part))).pipe(res)
    })
    expect((await ask('k')).body.toString()).toBe(parts.join(''))
    expect(JSON.parse((await ask('k')).body.toString())).toMatchObject({
      code: 'response-not-replayable',
      status: 200,
    })
  })

  it('tells a library that wrapped the response before when the answer really leaves, replays included', async () => {
    const ends: string[] = []
    const ask = await start(
      (_, res) => res.end('text'),
      (_, res) => finished(res, () => ends.push('finished')),
    )
    await ask('k')
    await ask('k')
    await expect.poll(() => ends).toEqual(['finished', 'finished'])
  })

  it('may be compressed before it is captured: the compressed bytes are stored', async () => {
    const ask = await start((_, res) => {
      res.setHeader('Content-Encoding', 'gzip')
      const zip = createGzip()
      zip.pipe(res)
      zip.end('text')
    })
    const [first, again] = [await ask('k'), await ask('k')]
    expect(again.body.equals(first.body)).toBe(true)
    expect(again.headers['content-encoding']).toBe('gzip')
    expect(gunzipSync(again.body).toString()).toBe('text')
  })

  it('may be compressed after it was captured: each answer is compressed for its client', async () => {
    const compressing: Wrap = (_, res) => {
      const { writeHead, end } = res
      res.writeHead = ((status: number) => {
        res.removeHeader('Content-Length')
        res.setHeader('Content-Encoding', 'gzip')
        return writeHead.call(res, status)
      }) as ServerResponse['writeHead']
      res.end = ((chunk: Buffer) => end.call(res, gzipSync(chunk), 'utf8')) as ServerResponse['end']
    }
    const ask = await start((_, res) => res.end('text'), compressing)
    for (const answer of [await ask('k'), await ask('k')]) {
      expect(answer.headers['content-encoding']).toBe('gzip')
      expect(gunzipSync(answer.body).toString()).toBe('text')
    }
  })

  it('keeps the fields that earlier middleware set, on replays too', async () => {
    let count = 0
    const ask = await start(
      (_, res) => res.end('text'),
      (_, res) => {
        res.setHeader('X-Request-Id', `${++count}`)
        res.setHeader('Access-Control-Allow-Origin', `https://${count}.example`)
      },
    )
    await ask('k')
    const again = await ask('k')
    expect(again.headers).toMatchObject({
      'x-request-id': '2',
      'access-control-allow-origin': 'https://2.example',
    })
  })
})

it('a guard inside a guarded handler leaves the operation to the outer one', async () => {
  const once = createOnce({ store: memoryStore(), scope: 'test' })
  const inner = idempotency({ once, scope: 'public' })
  let runs = 0
  const ask = await start((req, res) => inner(req, res, () => res.end(`run ${++runs}`)), undefined, once)
  expect([(await ask('k')).body.toString(), (await ask('k')).body.toString()]).toEqual(['run 1', 'run 1'])
})

it.each([
  ['nothing', undefined],
  ['a fixed text', 'everybody'],
])('a guard whose scope is %s refuses to start', (_, scope) => {
  const once = createOnce({ store: memoryStore(), scope: 'test' })
  expect(() => idempotency({ once, scope } as never)).toThrow(/scope/)
})
