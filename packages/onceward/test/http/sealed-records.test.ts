import { describe, expect, it } from 'vitest'
import { createOnce, type OperationStore } from '../../src/core/index.ts'
import { type CapturedResponse, createGuard } from '../../src/http/index.ts'
import { encryptedStore } from '../../src/stores/encrypted/index.ts'
import { memoryStore } from '../../src/stores/memory/index.ts'

const keys = [{ id: 'k1', key: Buffer.alloc(32, 7) }]
const PAID: CapturedResponse = { status: 201, headers: [], body: Buffer.from('CANARY') }

/** A guarded handler over an encrypted store, and what it stored. */
function setUp(inner: OperationStore) {
  const once = createOnce({ store: encryptedStore(inner, { keys }), scope: 'payments', cache: false })
  const guard = createGuard({ once })
  let runs = 0
  const ask = async () => {
    const headers = [['Idempotency-Key', 'k']] as const
    const admission = guard.admit({ method: 'POST', target: '/payments', headers })
    if (admission.kind !== 'keyed') throw new Error(`the request is not guarded but ${admission.kind}`)
    const work = async () => {
      runs++
      return PAID
    }
    const answer = await guard.handle({
      request: admission.request,
      caller: 'acme',
      body: Buffer.from('{}'),
      work,
    })
    if (answer.kind !== 'send') throw new Error('it was sent already')
    return { status: answer.status, code: answer.code, body: Buffer.from(answer.body).toString() }
  }
  return { ask, runs: () => runs }
}

describe('a stored response that was tampered with', () => {
  it('is answered with 500 and runs nothing again, while an untouched one is replayed', async () => {
    const inner = memoryStore()
    const { ask, runs } = setUp(inner)
    await ask()
    expect(await ask()).toMatchObject({ status: 201, body: 'CANARY' })

    const changed: OperationStore = {
      ...inner,
      async claim(request) {
        const reply = await inner.claim(request)
        if (reply.state !== 'done' || reply.outcome.kind !== 'value') return reply
        const value = Uint8Array.from(reply.outcome.value)
        value[40] = (value[40] ?? 0) ^ 1
        return { ...reply, outcome: { kind: 'value', value } }
      },
    }
    const tampered = setUp(changed)
    const answer = await tampered.ask()
    expect(answer).toMatchObject({ status: 500, code: 'record-corrupt' })
    expect(answer.body).not.toContain('CANARY')
    expect(JSON.parse(answer.body)).toMatchObject({ retryable: false, effect: 'done' })
    expect([runs(), tampered.runs()]).toEqual([1, 0])
  })
})
