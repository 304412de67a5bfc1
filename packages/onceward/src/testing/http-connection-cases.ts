import assert from 'node:assert/strict'
import { assertExecuted, assertReplay } from './http-assertions.ts'
import { type HttpCase, httpCase } from './http-bench.ts'
import { assertProblem, KEY_REUSED } from './http-problem.ts'
import { encodeRequest, JSON_TYPE } from './http-request.ts'

/** Connections that are shared, pipelined, kept alive and cut. */
export const connectionCases: readonly HttpCase[] = [
  httpCase(
    'a client that leaves midway finds its answer when it comes back',
    {
      app: async (request, bench) => {
        if (request.method === 'POST') await bench.gate().opened
        return bench.pay(request)
      },
    },
    async (bench) => {
      const leaving = await bench.connect()
      bench.write(leaving, { key: 'left' })
      await bench.effectsReach(1)
      leaving.destroy()
      // Whole exchanges of others: by their end the server has seen the client leave.
      for (let time = 0; time < 20; time++)
        assertExecuted(await bench.send({ method: 'GET', body: null }), 201)
      bench.gate().open()
      const again = await bench.resend({ key: 'left' }, (response) => response.status === 201)
      assert.ok(again.body.includes(bench.canary('acme')))
      assertReplay(again, await bench.send({ key: 'left' }))
      assert.equal(bench.effects, 1)
    },
  ),

  httpCase(
    'a duplicate that has left is not run in place of the first',
    {
      app: async (request, bench) => {
        if (request.method !== 'POST' || bench.effects > 1) return bench.pay(request)
        await bench.gate().opened
        return {
          status: 500,
          headers: [JSON_TYPE, ['onceward-effect', 'none']],
          body: bench.receipt(request),
        }
      },
    },
    async (bench) => {
      const first = bench.send({ key: 'left' })
      await bench.effectsReach(1)
      const waiter = await bench.connect()
      bench.write(waiter, { key: 'left' })
      for (let time = 0; time < 20; time++)
        assertExecuted(await bench.send({ method: 'GET', body: null }), 201)
      waiter.destroy()
      for (let time = 0; time < 20; time++)
        assertExecuted(await bench.send({ method: 'GET', body: null }), 201)
      bench.gate().open()
      assertExecuted(await first, 500)
      for (let time = 0; time < 20; time++)
        assertExecuted(await bench.send({ method: 'GET', body: null }), 201)
      assert.equal(bench.effects, 1, 'the work was run for a client that had left')
      assertExecuted(await bench.send({ key: 'left' }), 201)
      assert.equal(bench.effects, 2)
    },
  ),

  httpCase('a client of HTTP/1.0 gets whole answers', {}, async (bench) => {
    const answers = []
    for (let time = 0; time < 2; time++) {
      const connection = await bench.connect()
      connection.write(
        Buffer.from(encodeRequest({ key: 'old' }))
          .toString('latin1')
          .replace('HTTP/1.1', 'HTTP/1.0'),
      )
      answers.push(await bench.receive(connection))
      await connection.waitForEnd()
    }
    const [first, again] = answers
    assert.ok(first && again)
    assertExecuted(first, 201)
    assertReplay(first, again)
    assert.equal(bench.effects, 1)
  }),

  httpCase('two equal requests pipelined on one connection run once', {}, async (bench) => {
    const connection = await bench.connect()
    const bytes = encodeRequest({ key: 'pipe' })
    connection.write(Buffer.concat([bytes, bytes]))
    const first = await bench.receive(connection)
    const again = await bench.receive(connection)
    assertExecuted(first, 201)
    assertReplay(first, again)
    assert.equal(bench.effects, 1)
  }),

  httpCase('different requests pipelined on one connection are answered in order', {}, async (bench) => {
    const connection = await bench.connect()
    const requests = [
      { key: 'one' },
      { key: 'two' },
      { key: 'one' },
      { key: 'one', body: '{}' },
      { key: 'three' },
    ]
    connection.write(Buffer.concat(requests.map((request) => encodeRequest(request))))
    const answers = []
    for (const request of requests) answers.push(await bench.receive(connection, request))
    const [one, two, replay, reused, three] = answers
    assert.ok(one && two && replay && reused && three)
    for (const response of [one, two, three]) assertExecuted(response, 201)
    assertReplay(one, replay)
    assertProblem(reused, KEY_REUSED)
    assert.equal(bench.effects, 3)
  }),

  httpCase(
    'a connection serves on after replays of every kind',
    {
      app: (request, bench) => {
        if (request.path === '/none') return { status: 204 }
        if (request.path === '/same') return { status: 304 }
        if (request.path === '/empty') return { status: 200 }
        return bench.pay(request)
      },
    },
    async (bench) => {
      const connection = await bench.connect()
      for (const path of ['/none', '/same', '/empty', '/payments']) {
        const request = { key: 'alive', path }
        bench.write(connection, request)
        const first = await bench.receive(connection, request)
        bench.write(connection, request)
        assertReplay(first, await bench.receive(connection, request))
        assert.equal(connection.pending.length, 0, `bytes follow the answer to ${path}`)
      }
      assert.equal(bench.effects, 4)
      assert.equal(connection.ended, false, 'the connection was closed without need')
    },
  ),

  httpCase('a body may arrive late and in pieces', {}, async (bench) => {
    const bytes = encodeRequest({ key: 'pieces' })
    const connection = await bench.connect()
    for (let at = 0; at < bytes.length; at += 23) {
      connection.write(bytes.subarray(at, at + 23))
      await new Promise<void>((resolve) => setImmediate(resolve))
    }
    const first = await bench.receive(connection)
    assertExecuted(first, 201)
    assertReplay(first, await bench.send({ key: 'pieces' }))
    assert.equal(bench.effects, 1)
  }),

  httpCase('a client that asks before it sends its body is told to go on', {}, async (bench) => {
    const bytes = encodeRequest({ key: 'expect', headers: [['Expect', '100-continue']] })
    const end = Buffer.from(bytes).indexOf('\r\n\r\n') + 4
    const connection = await bench.connect()
    connection.write(bytes.subarray(0, end))
    await connection.waitForText('HTTP/1.1 100')
    connection.write(bytes.subarray(end))
    const first = await bench.receive(connection)
    assertExecuted(first, 201)
    assertReplay(first, await bench.send({ key: 'expect' }))
    assert.equal(bench.effects, 1)
  }),
]
