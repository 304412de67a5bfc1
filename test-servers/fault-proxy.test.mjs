import { connect, createServer } from 'node:net'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { faultProxy } from './index.mjs'

/** A server that answers each line with `<line>!` and remembers the lines. */
let server
let lines
let serverSockets
let proxy

beforeEach(async () => {
  lines = []
  serverSockets = []
  server = createServer((socket) => {
    serverSockets.push(socket)
    let rest = ''
    socket.on('error', () => {})
    socket.on('data', (bytes) => {
      const parts = (rest + bytes).split('\n')
      rest = parts.pop()
      for (const line of parts) {
        lines.push(line)
        socket.write(`${line}!\n`)
      }
    })
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  proxy = await faultProxy({ target: { host: '127.0.0.1', port: server.address().port } })
})

afterEach(async () => {
  await proxy.stop()
  for (const socket of serverSockets) socket.destroy()
  await new Promise((resolve) => server.close(resolve))
})

describe('a sound network', () => {
  it('carries both directions and the end of each', async () => {
    const client = await dial()
    client.say('a')
    await client.hears('a!\n')
    expect(proxy.connections).toBe(1)
    client.socket.end()
    await client.closes()
    await soon(() => expect(proxy.connections).toBe(0))
    expect(client.error).toBeUndefined()
    expect(proxy.accepted).toBe(1)
    expect(proxy.fired).toBe(0)
  })

  it('gives the same URL with another address', () => {
    expect(proxy.url('postgres://u:p%40@db.example:5432/x?y=1')).toBe(
      `postgres://u:p%40@127.0.0.1:${proxy.port}/x?y=1`,
    )
    expect(proxy.url('redis://:pw@10.0.0.1:6379')).toBe(`redis://:pw@127.0.0.1:${proxy.port}`)
  })

  it('carries a megabyte unchanged', async () => {
    const client = await dial()
    const line = 'x'.repeat(1_000_000)
    client.say(line)
    await client.hears(`${line}!\n`)
  })
})

describe('a refusal', () => {
  it('is for new connections only, and ends', async () => {
    const before = await dial()
    await proxy.refuse()
    await expect(dial()).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    before.say('still here')
    await before.hears('still here!\n')
    await proxy.pass()
    const after = await dial()
    after.say('b')
    await after.hears('b!\n')
  })

  it('of a server that is down cuts what is open', async () => {
    const client = await dial()
    await proxy.down()
    await client.closes()
    expect(client.error).toMatchObject({ code: 'ECONNRESET' })
    await expect(dial()).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  })
})

describe('loss', () => {
  it('of requests keeps them from the server', async () => {
    const client = await dial()
    proxy.dropRequests()
    client.say('lost')
    await proxy.hasFired()
    const other = await dial()
    await proxy.pass()
    await client.closes()
    other.say('sound')
    await other.hears('sound!\n')
    expect(lines).toEqual(['sound'])
  })

  it('of replies lets the server do its work', async () => {
    const client = await dial()
    proxy.dropReplies()
    client.say('done')
    await proxy.hasFired()
    expect(lines).toEqual(['done'])
    expect(client.heard).toBe('')
    await proxy.pass()
    await client.closes()
    expect(client.heard).toBe('')
  })
})

describe('a cut', () => {
  it('comes with the reply, when the server has done its work, as often as asked', async () => {
    proxy.cutOnReply(2)
    for (const line of ['a', 'b']) {
      const client = await dial()
      client.say(line)
      await client.closes()
      expect(client.error).toMatchObject({ code: 'ECONNRESET' })
      expect(client.heard).toBe('')
    }
    const third = await dial()
    third.say('c')
    await third.hears('c!\n')
    expect(lines).toEqual(['a', 'b', 'c'])
    expect(proxy.fired).toBe(2)
  })

  it('spares what a server says unasked', async () => {
    server.once('connection', (socket) => socket.write('hello\n'))
    proxy.cutOnReply()
    const client = await dial()
    await client.hears('hello\n')
    expect(proxy.fired).toBe(0)
  })

  it('on the reply to a text spares other replies, and finds the text across chunks', async () => {
    proxy.cutOnReplyTo('COMMIT')
    const client = await dial()
    client.say('BEGIN')
    await client.hears('BEGIN!\n')
    client.socket.write('COM')
    await soon(() => expect(serverSockets[0].bytesRead).toBe(9))
    client.say('MIT')
    await client.closes()
    expect(lines).toEqual(['BEGIN', 'COMMIT'])
    expect(client.heard).toBe('BEGIN!\n')
  })

  it('of all connections resets them', async () => {
    const clients = [await dial(), await dial()]
    proxy.reset()
    for (const client of clients) {
      await client.closes()
      expect(client.error).toMatchObject({ code: 'ECONNRESET' })
    }
  })
})

describe('slowness', () => {
  it('delays the direction asked for, and keeps the order', async () => {
    const client = await dial()
    proxy.delay(80, 'replies')
    const started = performance.now()
    client.say('a')
    await soon(() => expect(lines).toEqual(['a']))
    client.say('b')
    await client.hears('a!\nb!\n')
    expect(performance.now() - started).toBeGreaterThanOrEqual(79)
  })

  it('slices into pieces', async () => {
    const client = await dial()
    proxy.slice(1)
    const chunks = []
    client.socket.on('data', (bytes) => chunks.push(bytes.length))
    client.say('abcdefgh')
    await client.hears('abcdefgh!\n')
    expect(chunks.length).toBeGreaterThan(1)
    expect(proxy.fired).toBeGreaterThan(0)
  })
})

describe('a partition', () => {
  it('as a black hole delivers nothing, and everything in order once it ends', async () => {
    const client = await dial()
    proxy.blackHole()
    const late = await dial()
    client.say('a')
    late.say('b')
    await proxy.hasFired(2)
    client.say('c')
    await proxy.hasFired(3)
    expect(lines).toEqual([])
    await proxy.pass()
    await client.hears('a!\nc!\n')
    await late.hears('b!\n')
  })

  it('half open: the server has hung up and the client does not know', async () => {
    const client = await dial()
    client.say('a')
    await client.hears('a!\n')
    proxy.halfOpen()
    await soon(() => expect(serverSockets[0].closed).toBe(true))
    client.say('into the void')
    await proxy.hasFired()
    expect(client.socket.readyState).toBe('open')
    const next = await dial()
    next.say('b')
    await next.hears('b!\n')
    await proxy.pass()
    await client.closes()
    expect(lines).toEqual(['a', 'b'])
  })
})

describe('a hook', () => {
  it('decides over each chunk, before the fault in force', async () => {
    const seen = []
    proxy.dropReplies()
    proxy.onRequest((bytes, connection) => void seen.push(`${connection.id}:${bytes}`))
    proxy.onReply((bytes) => (bytes.includes('keep') ? 'pass' : undefined))
    const client = await dial()
    client.say('keep')
    await client.hears('keep!\n')
    client.say('lose')
    await proxy.hasFired()
    expect(seen).toEqual(['1:keep\n', '1:lose\n'])
    expect(client.heard).toBe('keep!\n')
  })

  it('cuts behind what it lets pass', async () => {
    proxy.onRequest((bytes) => (bytes.includes('COMMIT') ? 'cut-after' : undefined))
    const client = await dial()
    client.say('COMMIT')
    await client.closes()
    await soon(() => expect(lines).toEqual(['COMMIT']))
    expect(client.heard).toBe('')
  })

  it('cuts before', async () => {
    proxy.onRequest(() => 'cut')
    const client = await dial()
    client.say('never')
    await client.closes()
    expect(lines).toEqual([])
  })

  it('holds one direction until it passes', async () => {
    proxy.onReply(() => 'hold')
    const client = await dial()
    client.say('a')
    await proxy.hasFired()
    expect(lines).toEqual(['a'])
    expect(client.heard).toBe('')
    await proxy.pass()
    await client.hears('a!\n')
  })
})

it('tells one who waits that the fault has ended before it fired', async () => {
  proxy.dropReplies()
  const waiting = expect(proxy.hasFired()).rejects.toThrow('ended before')
  await proxy.pass()
  await waiting
})

it('passes on that the server refuses', async () => {
  const dead = await faultProxy({ target: { host: '127.0.0.1', port: 9 } })
  const client = await dial(dead)
  await client.closes()
  expect(client.error).toMatchObject({ code: 'ECONNRESET' })
  await dead.stop()
})

function soon(look) {
  return vi.waitFor(look, { timeout: 10_000 })
}

async function dial(at = proxy) {
  const socket = connect(at.port, at.host)
  const client = {
    socket,
    heard: '',
    error: undefined,
    say: (line) => socket.write(`${line}\n`),
    hears: (text) => soon(() => expect(client.heard).toBe(text)),
    closes: () => soon(() => expect(socket.closed).toBe(true)),
  }
  socket.setEncoding('utf8')
  socket.on('data', (text) => {
    client.heard += text
  })
  socket.on('error', (error) => {
    client.error = error
  })
  await new Promise((resolve, reject) => {
    socket.once('connect', resolve)
    socket.once('error', reject)
  })
  return client
}
