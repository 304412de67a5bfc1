import { describe, expect, it } from 'vitest'
import { operationId } from './identity.ts'
import type { OperationRecord } from './operation.ts'
import { type Atomically, assertDecidable, transitionMethods } from './transition-port.ts'

const NOW = Date.UTC(2026, 0, 1)

/** One record, and how often it was read and written. */
function shelf() {
  const seen = { steps: 0, writes: 0 }
  let record: OperationRecord | undefined
  const atomically: Atomically = async (_, step) => {
    seen.steps++
    const { write, reply } = step(record, NOW)
    if (write) {
      seen.writes++
      record = write
    }
    return reply
  }
  return { seen, methods: transitionMethods(atomically) }
}

const id = operationId('test', 'order-1')
const request = { id, owner: 'ada', leaseMs: 1000, retentionMs: 1000, onCrash: 'hold' } as const

describe('a store made of one way to run a transition', () => {
  it('runs each method as one step', async () => {
    const { seen, methods } = shelf()
    const reply = await methods.claim(request)
    if (reply.state !== 'claimed') throw new Error('a first claim is granted')
    await methods.renew(reply.claim, 1000)
    await methods.checkpoint(reply.claim, { name: 'charge', state: 'done', onCrash: 'hold' })
    await methods.hold(reply.claim, 'no reply')
    await methods.takeTurn(id, { fence: reply.claim.fence, asks: 0, quietMs: 1, holding: false })
    await methods.resolve(id, {
      fence: reply.claim.fence,
      as: { state: 'released' },
      actor: 'ada',
      reason: 'x',
    })
    expect(seen).toEqual({ steps: 6, writes: 6 })
  })

  it('writes nothing for a refused call or a read', async () => {
    const { seen, methods } = shelf()
    const stale = { id, owner: 'eve', fence: 1, attempt: 1 }
    await methods.claim(request)
    await methods.renew(stale, 1000)
    await methods.complete(stale, { kind: 'value', value: new Uint8Array() }, 1000)
    await methods.release(stale)
    await methods.get(id)
    expect(seen).toEqual({ steps: 5, writes: 1 })
  })

  it('refuses a decision nobody could account for before it reads anything', async () => {
    const { seen, methods } = shelf()
    const as = { state: 'released' } as const
    await expect(methods.resolve(id, { fence: 1, as, actor: ' ', reason: 'x' })).rejects.toThrow(TypeError)
    expect(seen.steps).toBe(0)
  })
})

describe('a decision', () => {
  it('names who and why, in at most 500 characters', () => {
    expect(() => assertDecidable('ada', 'x'.repeat(500))).not.toThrow()
    expect(() => assertDecidable('', 'x')).toThrow(/needs an actor/)
    expect(() => assertDecidable('ada', '\n\t')).toThrow(/needs a reason/)
    expect(() => assertDecidable('ada', 'x'.repeat(501))).toThrow(/501 characters, the most is 500/)
  })
})
