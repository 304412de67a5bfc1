import { describe, expect, it } from 'vitest'
import { check } from './checker.ts'
import type { HistoryEvent } from './history.ts'
import { paceOf } from './pace.ts'
import { canaryOf, type Mode } from './plan.ts'

const OP = 'run.1.a/k0'

/** Acknowledged with n1, forgotten by a failover, run again as n2, and done in the end. */
function forgotten(mode: Mode): HistoryEvent[] {
  const value = (nonce: string) =>
    JSON.stringify({ op: OP, input: 1, nonces: [nonce], canary: canaryOf(OP, 1) })
  const sunk = (t: number, nonce: string, fence: number) =>
    ({
      t,
      k: 'sunk',
      n: 1,
      op: OP,
      part: 'all',
      call: 'c1',
      worker: 0,
      fence,
      attempt: 1,
      input: 1,
      nonce,
    }) as const
  const row = (t: number, nonce: string) => ({ t, k: 'row', op: OP, call: 'c1', fence: 1, nonce }) as const
  const answer = (t: number, call: string, nonce: string) =>
    ({ t, k: 'answer', call, how: 'executed', value: value(nonce) }) as const
  const invoke = (t: number, call: string) =>
    ({ t, k: 'invoke', call, op: OP, input: 1, probe: call === 'p0' }) as const
  // What a transaction wrote is forgotten together with its record.
  const effects = mode === 'transaction' ? [row(62, 'n2')] : [sunk(11, 'n1', 1), sunk(62, 'n2', 2)]
  return [
    invoke(10, 'c1'),
    answer(12, 'c1', 'n1'),
    { t: 50, k: 'fault', kind: 'failover' },
    { t: 60, k: 'heal' },
    invoke(61, 'p0'),
    answer(63, 'p0', 'n2'),
    ...effects,
    { t: 64, k: 'record', op: OP, state: 'done', fence: 2, attempt: 1, mayAskInMs: 0, events: [] },
  ]
}

function judge(mode: Mode, lossy: boolean) {
  return check({ seed: 1, leaseMs: 300, timeoutMs: 0, keys: [{ op: OP, mode }] }, forgotten(mode), { lossy })
}

describe('a store that is known to lose what it acknowledged', () => {
  it('has its losses and the second effects counted', () => {
    const { violations, losses } = judge('hold', true)
    expect(violations.filter(({ rule }) => !rule.startsWith('I6'))).toEqual([])
    expect(losses).toEqual({ acknowledgedBefore: 1, acknowledgedGone: 1, secondEffects: 1 })
  })

  it('is still held to one effect where a downstream key or the transaction tells a repetition', () => {
    expect(judge('downstream', true).violations.map(({ rule }) => rule)).toContain('I1: at most one effect')
    const { violations, losses } = judge('transaction', true)
    expect(violations.map(({ rule }) => rule)).not.toContain('I1: at most one effect')
    expect(losses.acknowledgedGone).toBe(1)
  })

  it('is no excuse for one that promises to lose nothing', () => {
    const rules = judge('hold', false).violations.map(({ rule }) => rule)
    expect(rules).toContain('I1: at most one effect')
    expect(rules).toContain('I3: all answers are equal')
  })
})

describe('the pace of trials', () => {
  it('is that of a quiet machine, slower by its load, and never slower than can be waited for', () => {
    expect([paceOf(0, 2), paceOf(4, 2), paceOf(8, 2), paceOf(1000, 2)]).toEqual([1, 1, 2, 6])
  })
})
