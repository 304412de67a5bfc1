import assert from 'node:assert/strict'
import { assertExecuted, assertReplay } from './http-assertions.ts'
import { type HttpCase, httpCase } from './http-bench.ts'
import { chunks } from './http-chunks.ts'
import type { RawResponse } from './http-connection.ts'
import { assertProblem } from './http-problem.ts'

const NOT_REPLAYABLE = {
  status: 409,
  code: 'response-not-replayable',
  retryable: false,
  effect: 'done',
  members: { status: 201, location: '/payments/1' },
} as const

function isNotReplayable(response: RawResponse): boolean {
  return response.body.includes('response-not-replayable')
}

async function* breakingOff(part: Uint8Array): AsyncGenerator<Uint8Array> {
  yield part
  await new Promise<void>((resolve) => setImmediate(resolve))
  throw new Error('the application broke off')
}

/** Answers beyond the cap and answers that break off: SECURITY-CASES 23 and 24. */
export const largeCases: readonly HttpCase[] = [
  httpCase(
    'an answer over the cap reaches its caller whole and is never run again',
    {
      options: { maxResponseBytes: 1000 },
      app: (request, bench) => ({ ...bench.pay(request), body: bench.receipt(request).padEnd(4000) }),
    },
    async (bench) => {
      const first = await bench.send({ key: 'large' })
      assertExecuted(first, 201)
      assert.equal(first.body.length, 4000)
      for (let time = 0; time < 2; time++) assertProblem(await bench.send({ key: 'large' }), NOT_REPLAYABLE)
      assert.equal(bench.effects, 1)
    },
  ),

  httpCase(
    'an answer of exactly the cap is replayed',
    {
      options: { maxResponseBytes: 1000 },
      app: (request, bench) => ({ ...bench.pay(request), body: bench.receipt(request).padEnd(1000) }),
    },
    async (bench) => {
      const first = await bench.send({ key: 'fits' })
      assert.equal(first.body.length, 1000)
      assertReplay(first, await bench.send({ key: 'fits' }))
      assert.equal(bench.effects, 1)
    },
  ),

  httpCase(
    'a stream beyond the cap flows to its caller while the application still writes',
    {
      options: { maxResponseBytes: 1000 },
      app: (request, bench) => ({
        ...bench.pay(request),
        body: chunks([Buffer.alloc(600, 'a'), Buffer.alloc(600, 'b')], bench.gate().opened),
        idiom: 'stream',
      }),
    },
    async (bench) => {
      const connection = await bench.connect()
      bench.write(connection, { key: 'flow' })
      await connection.waitForText('bbb')
      const meanwhile = await bench.send({ key: 'flow', headers: [['Prefer', 'wait=0']] })
      assert.equal(meanwhile.status, 409, 'a duplicate was answered with half a stream, or run')
      bench.gate().open()
      const first = await bench.receive(connection)
      assert.equal(first.truncated, false)
      assert.equal(first.body.toString(), `${'a'.repeat(600)}${'b'.repeat(600)}end`)
      assertProblem(await bench.send({ key: 'flow' }), NOT_REPLAYABLE)
      assert.equal(bench.effects, 1)
    },
  ),

  httpCase(
    'a large answer whose client leaves midway is never run again',
    {
      options: { maxResponseBytes: 1000 },
      app: (request, bench) => ({
        ...bench.pay(request),
        body: chunks([Buffer.alloc(600, 'a'), Buffer.alloc(600, 'b')], bench.gate().opened),
        idiom: 'stream',
      }),
    },
    async (bench) => {
      const connection = await bench.connect()
      bench.write(connection, { key: 'flow' })
      await connection.waitForText('bbb')
      connection.destroy()
      bench.gate().open()
      assertProblem(await bench.resend({ key: 'flow' }, isNotReplayable), NOT_REPLAYABLE)
      assert.equal(bench.effects, 1)
    },
  ),

  httpCase(
    'an answer that breaks off midway is not complete: its outcome is unknown',
    {
      app: (request, bench) => ({
        ...bench.pay(request),
        body: breakingOff(Buffer.from(bench.receipt(request))),
        idiom: 'stream',
      }),
    },
    async (bench) => {
      const first = await bench.sendLoosely({ key: 'broken' })
      assert.ok(
        first === undefined || first.truncated || first.status >= 500,
        'half an answer was passed off as whole',
      )
      assertProblem(await bench.send({ key: 'broken' }), {
        status: 409,
        code: 'outcome-unknown',
        retryable: false,
        effect: 'unknown',
      })
      assert.equal(bench.effects, 1)
    },
  ),
]
