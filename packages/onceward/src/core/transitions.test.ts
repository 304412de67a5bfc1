import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { operationId } from './identity.ts'
import { type Claim, MAX_NOTE_CHARS, type OperationRecord, type Outcome } from './operation.ts'
import type { ClaimReply, ClaimRequest } from './store.ts'
import {
  checkpoint,
  claim,
  complete,
  hold,
  isExpired,
  isForgettable,
  release,
  renew,
  resolve,
  sweep,
  takeTurn,
} from './transitions.ts'

const NOW = Date.UTC(2026, 0, 1)
const ID = operationId('test', 'order-1')
const DONE: Outcome = { kind: 'value', value: new Uint8Array([1, 2, 3]) }

const request = (over: Partial<ClaimRequest> = {}): ClaimRequest => ({
  id: ID,
  owner: 'ada',
  leaseMs: 1000,
  retentionMs: 10_000,
  onCrash: 'hold',
  ...over,
})

/** The record and the claim of a first claim at `now`. */
function running(over: Partial<ClaimRequest> = {}, now = NOW): { record: OperationRecord; claimed: Claim } {
  const { write, reply } = claim(undefined, request(over), now)
  if (!write || reply.state !== 'claimed') throw new Error('a first claim is granted')
  return { record: write, claimed: reply.claim }
}

function written<Reply>(transition: {
  readonly write?: OperationRecord
  readonly reply: Reply
}): OperationRecord {
  if (!transition.write) throw new Error('this transition writes')
  return transition.write
}

describe('a claim', () => {
  it('asked again lists the finished steps, not the started ones', () => {
    const { record, claimed } = running()
    const begun = written(checkpoint(record, claimed, { name: 'mail', state: 'started', onCrash: 'rerun' }))
    const both = written(checkpoint(begun, claimed, { name: 'charge', state: 'done', onCrash: 'hold' }))
    const { reply } = claim(both, request(), NOW + 1)
    expect(reply.state === 'claimed' && reply.steps.map((step) => step.name)).toEqual(['charge'])
  })

  it('keeps its fence above the last one when the clock was set back', () => {
    const { record, claimed } = running()
    const given = written(release(record, claimed, undefined, NOW))
    const earlier = written(claim(given, request({ owner: 'bob' }), NOW - 60_000))
    expect(earlier.fence).toBe(claimed.fence + 1)
  })

  it('of an expired record keeps the fence going and forgets the rest', () => {
    const { record, claimed } = running()
    const done = written(complete(record, claimed, DONE, 0, NOW))
    const next = written(claim(done, request({ owner: 'bob' }), NOW))
    expect(next).toMatchObject({
      attempt: 1,
      duplicates: 0,
      steps: [],
      fence: claimed.fence + 1,
      createdAt: NOW,
    })
    expect(next.outcome).toBeUndefined()
  })

  it('drops the old fingerprint when the new claim brings none', () => {
    const { record, claimed } = running({ fingerprint: 'one' })
    const given = written(release(record, claimed, undefined, NOW))
    expect(written(claim(given, request({ owner: 'bob' }), NOW)).fingerprint).toBeUndefined()
  })

  it('refuses to make sense of a record that is done without an outcome', () => {
    const { record } = running()
    expect(() => claim({ ...record, state: 'done' }, request({ owner: 'bob' }), NOW)).toThrow(
      /done without an outcome/,
    )
  })
})

describe('expiry', () => {
  it('is never set on what is held or would lapse into held', () => {
    const { record, claimed } = running({ onCrash: 'rerun' })
    expect(record.expiresAt).toBe(NOW + 1000 + 10_000)
    const inside = written(checkpoint(record, claimed, { name: 'charge', state: 'started', onCrash: 'hold' }))
    expect(inside.expiresAt).toBeUndefined()
    const past = written(checkpoint(inside, claimed, { name: 'charge', state: 'done', onCrash: 'hold' }))
    expect(past.expiresAt).toBe(NOW + 1000 + 10_000)
    expect(written(hold(past, claimed, 'no reply', NOW)).expiresAt).toBeUndefined()
  })

  it('moves with a renewal', () => {
    const { record, claimed } = running({ onCrash: 'rerun' })
    expect(written(renew(record, claimed, 5000, NOW + 500)).expiresAt).toBe(NOW + 500 + 5000 + 10_000)
  })

  it('comes at its moment, not after it', () => {
    const { record, claimed } = running()
    const done = written(complete(record, claimed, DONE, 100, NOW))
    expect([99, 100].map((ms) => isExpired(done, NOW + ms))).toEqual([false, true])
  })

  it('removes a record only once a fresh claim would get a greater fence', () => {
    const { record, claimed } = running()
    const done = written(complete(record, claimed, DONE, 0, NOW))
    expect(isExpired(done, NOW)).toBe(true)
    expect([NOW - 1, NOW, NOW + 1].map((now) => isForgettable(done, now))).toEqual([false, false, true])
  })
})

describe('notes', () => {
  it('are cut to the limit and never inside a surrogate pair', () => {
    for (const text of ['💳'.repeat(300), `x${'💳'.repeat(300)}`, 'x'.repeat(MAX_NOTE_CHARS + 1)]) {
      const { record, claimed } = running()
      const held = written(hold(record, claimed, text, NOW))
      for (const note of [held.heldReason, held.history.at(-1)?.note]) {
        expect(note?.length).toBeLessThanOrEqual(MAX_NOTE_CHARS)
        expect(note?.isWellFormed()).toBe(true)
        expect(note?.endsWith('…')).toBe(true)
      }
    }
  })

  it('that fit are kept whole', () => {
    const { record, claimed } = running()
    const text = 'x'.repeat(MAX_NOTE_CHARS)
    expect(written(hold(record, claimed, text, NOW)).heldReason).toBe(text)
  })

  it('tell who resolved it and why, in the history and in the audit', () => {
    const { record, claimed } = running()
    const held = written(hold(record, claimed, 'no reply', NOW))
    const decided = resolve(
      held,
      { fence: held.fence, as: { state: 'released' }, actor: 'ada', reason: 'ticket 7' },
      NOW,
    )
    expect(decided.write?.history.at(-1)?.note).toBe('ada: ticket 7')
    expect(decided.audit).toMatchObject({ actor: 'ada', reason: 'ticket 7', as: 'released', key: 'order-1' })
  })
})

describe('any sequence of transitions', () => {
  const step = fc.record({
    act: fc.constantFrom(
      'claim',
      'renew',
      'start',
      'finish',
      'complete',
      'release',
      'hold',
      'sweep',
      'turn',
      'resolve done',
      'resolve released',
    ),
    owner: fc.constantFrom('ada', 'bob', 'eve'),
    onCrash: fc.constantFrom('hold' as const, 'rerun' as const),
    ms: fc.constantFrom(-50, 0, 1, 500, 1000, 20_000),
  })
  type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

  it('moves along the declared edges only, with growing fences, and changes none of its inputs (I5, I6)', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40, size: 'max' }), (steps) => {
        let record: OperationRecord | undefined
        let now = NOW
        const claims = new Map<string, Claim>()
        for (const one of steps) {
          now += one.ms
          const before = deepFreeze(record)
          const next = act(before, one, now, claims)
          if (next === undefined) continue
          // To a claim an expired record is absent; its own late owner may still end it, as long as it is there.
          const gone = before === undefined || (one.act === 'claim' && isExpired(before, now))
          const from = gone ? 'absent' : before.state
          expect(EDGES[from]).toContain(next.state)
          if (before) expect(next.fence).toBeGreaterThanOrEqual(before.fence)
          if (before && next.state === 'running' && from !== 'running')
            expect(next.fence).toBeGreaterThan(before.fence)
          expect(Number.isSafeInteger(next.fence)).toBe(true)
          expect('outcome' in next).toBe(next.state === 'done')
          expect('heldReason' in next).toBe(next.state === 'held')
          expect(next.state !== 'held' || next.expiresAt === undefined).toBe(true)
          expect(next.history.length).toBeLessThanOrEqual(16)
          if (next.state !== 'running')
            expect(next.steps.every((each) => each.state === 'done' || next.state === 'held')).toBe(true)
          record = next
        }
      }),
      { numRuns: 500 },
    )
  })

  function act(
    record: OperationRecord | undefined,
    { act: kind, owner, onCrash }: Step,
    now: number,
    claims: Map<string, Claim>,
  ): OperationRecord | undefined {
    const own = claims.get(owner) ?? { id: ID, owner, fence: 1, attempt: 1 }
    const decision = { fence: record?.fence ?? 0, actor: 'ada', reason: 'looked it up' }
    switch (kind) {
      case 'claim': {
        const { write, reply }: { write?: OperationRecord; reply: ClaimReply } = claim(
          record,
          request({ owner, onCrash }),
          now,
        )
        if (reply.state === 'claimed') claims.set(owner, reply.claim)
        return write
      }
      case 'renew':
        return renew(record, own, 1000, now).write
      case 'start':
        return checkpoint(record, own, { name: owner, state: 'started', onCrash }).write
      case 'finish':
        return checkpoint(record, own, { name: owner, state: 'done', onCrash }).write
      case 'complete':
        return complete(record, own, DONE, 10_000, now).write
      case 'release':
        return release(record, own, undefined, now).write
      case 'hold':
        return hold(record, own, 'no reply', now).write
      case 'sweep':
        return record && sweep(record, now)
      case 'turn':
        return takeTurn(
          record,
          { fence: decision.fence, asks: record?.asks ?? 0, quietMs: 100, holding: false },
          now,
        ).write
      case 'resolve done':
        return resolve(record, { ...decision, as: { state: 'done', outcome: DONE } }, now).write
      case 'resolve released':
        return resolve(record, { ...decision, as: { state: 'released' } }, now).write
    }
  }
})

/** DESIGN.md §3, with the counting of duplicates and the renewal as edges from a state to itself. */
const EDGES: Readonly<Record<OperationRecord['state'] | 'absent', readonly OperationRecord['state'][]>> = {
  absent: ['running'],
  // A lapsed hold can be resolved by whoever finds it; an owner's own end comes straight from running.
  running: ['running', 'done', 'released', 'held'],
  held: ['held', 'done', 'released'],
  released: ['running'],
  done: [],
}

function deepFreeze<T>(data: T): T {
  if (data instanceof Uint8Array || typeof data !== 'object' || data === null) return data
  for (const field of Object.values(data)) deepFreeze(field)
  return Object.freeze(data)
}
