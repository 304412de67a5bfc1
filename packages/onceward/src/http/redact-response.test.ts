import { describe, expect, it } from 'vitest'
import { createOnce } from '../core/create-once.ts'
import type { Redact } from '../core/once-types.ts'
import { memoryStore } from '../stores/memory/index.ts'
import { createGuard } from './guard.ts'
import type { CapturedResponse, SendAnswer, WorkResult } from './types.ts'

const PAID: CapturedResponse = {
  status: 201,
  headers: [['Location', '/p/1']],
  body: Buffer.from('paid with 4242'),
}

/** A guarded handler that answers `response`. */
function setUp(redact: Redact, response: WorkResult = PAID) {
  const once = createOnce({ store: memoryStore(), scope: 'payments', cache: false })
  const guard = createGuard({ once, redact })
  let runs = 0
  const ask = async (): Promise<SendAnswer | 'sent'> => {
    const headers = [['Idempotency-Key', 'k']] as const
    const admission = guard.admit({ method: 'POST', target: '/payments', headers })
    if (admission.kind !== 'keyed') throw new Error(`the request is not guarded but ${admission.kind}`)
    const answer = await guard.handle({
      request: admission.request,
      caller: 'acme',
      body: Buffer.from('{}'),
      work: async () => {
        runs++
        return response
      },
    })
    return answer.kind === 'send' ? answer : 'sent'
  }
  return { ask, runs: () => runs }
}

const text = (answer: SendAnswer | 'sent') => (answer === 'sent' ? '' : Buffer.from(answer.body).toString())

describe('redact of a middleware', () => {
  it('decides what duplicates get; the client whose request ran gets the full response', async () => {
    const kinds: string[] = []
    const { ask, runs } = setUp((found, { kind }) => {
      kinds.push(kind)
      return { ...(found as CapturedResponse), body: Buffer.from('paid with ****') }
    })
    expect(text(await ask())).toBe('paid with 4242')
    const again = await ask()
    expect(again).toMatchObject({ status: 201, from: 'replayed' })
    expect(text(again)).toBe('paid with ****')
    expect([runs(), kinds]).toEqual([1, ['value']])
  })

  it('is not asked about a response that was too large, of which only status and location are stored', async () => {
    const large = { tooLarge: true, status: 201, location: '/p/2' } as const
    const { ask } = setUp((found) => ({ body: (found as CapturedResponse).body.slice(1) }), large)
    expect(await ask()).toBe('sent')
    expect(JSON.parse(text(await ask()))).toMatchObject({
      code: 'response-not-replayable',
      status: 201,
      location: '/p/2',
    })
  })

  it('that throws leaves nothing to replay: duplicates get 409, and the handler is not run again', async () => {
    const { ask, runs } = setUp(() => {
      throw new Error('4242')
    })
    expect(text(await ask())).toBe('paid with 4242')
    const again = await ask()
    expect(again).toMatchObject({ status: 409, code: 'response-not-replayable' })
    expect(text(again)).not.toContain('4242')
    expect(runs()).toBe(1)
  })

  it('must be a function', () => {
    expect(() => setUp('body' as never)).toThrow(TypeError)
  })
})
