import { describe, expect, it } from 'vitest'
import { check } from './checker.ts'
import type { Promised } from './evidence.ts'
import type { HistoryEvent, Noted } from './history.ts'
import { canaryOf, type Mode } from './plan.ts'

const OP = 'run.1.a/k0'
const LEASE_MS = 300
const HEALED_AT = 1000

/** One operation in one mode. */
function promised(mode: Mode): Promised {
  return { seed: 1, leaseMs: LEASE_MS, timeoutMs: 0, keys: [{ op: OP, mode }] }
}

/** A history of what its lines say, in the order in which they are given, 1 ms after the other if they do not say when. */
function historyOf(...lines: readonly (Noted & { readonly t?: number })[]): HistoryEvent[] {
  return lines.map((line, index) => ({ t: index, ...line }) as HistoryEvent)
}

function receipt(nonce: string, input = 1, op = OP): string {
  return JSON.stringify({ op, input, nonces: [nonce], canary: canaryOf(op, input) })
}

const invoke = (call: string, t?: number, input = 1): Noted & { readonly t?: number } => ({
  k: 'invoke',
  call,
  op: OP,
  input,
  probe: call.startsWith('p'),
  ...(t === undefined ? {} : { t }),
})
const sunk = (call: string, nonce: string, fence = 100, part = 'all'): Noted => ({
  k: 'sunk',
  n: 1,
  op: OP,
  part,
  call,
  worker: 0,
  fence,
  attempt: 1,
  input: 1,
  nonce,
})
const answer = (call: string, nonce: string, t?: number): Noted & { readonly t?: number } => ({
  k: 'answer',
  call,
  how: 'executed',
  value: receipt(nonce),
  ...(t === undefined ? {} : { t }),
})
const claimed = (
  sent: number,
  t: number,
  fence: number,
  takenOver = false,
): Noted & { readonly t: number } => ({
  k: 'store',
  sent,
  t,
  method: 'claim',
  op: OP,
  owner: `owner of ${fence}`,
  fence,
  state: 'claimed',
  takenOver,
})
const record = (
  state: string,
  events: readonly (readonly [string, number])[],
): Extract<Noted, { readonly k: 'record' }> => ({
  k: 'record',
  op: OP,
  state,
  fence: events.at(-1)?.[1] ?? 0,
  attempt: 1,
  mayAskInMs: 0,
  events: events.map(([event, fence]) => ({ at: 0, event, fence })),
})

/** What follows when all went well: healed, asked for once more, done. */
const settled = (
  nonce = 'n1',
  state = record('done', [
    ['claimed', 100],
    ['completed', 100],
  ]),
) => [
  { k: 'heal', t: HEALED_AT } as const,
  invoke('p0', HEALED_AT + 1),
  answer('p0', nonce, HEALED_AT + 20),
  { ...state, t: HEALED_AT + 30 },
]

function rulesOf(mode: Mode, ...lines: readonly (Noted & { readonly t?: number })[]): string[] {
  return check(promised(mode), historyOf(...lines)).violations.map(({ rule }) => rule)
}

describe('the checker of fault trials', () => {
  it('finds nothing in a history in which everything went well', () => {
    expect(
      rulesOf('hold', invoke('c1'), claimed(1, 2, 100), sunk('c1', 'n1'), answer('c1', 'n1'), ...settled()),
    ).toEqual([])
  })

  it.each(['hold', 'reconciled', 'downstream', 'transaction'] as const)(
    'sees a second effect in mode %s (I1)',
    (mode) => {
      const lines = [invoke('c1'), sunk('c1', 'n1'), invoke('c2'), sunk('c2', 'n2', 200), answer('c1', 'n1')]
      expect(rulesOf(mode, ...lines, ...settled())).toContain('I1: at most one effect')
    },
  )

  it('lets rerun repeat an effect, and counts it', () => {
    const lines = [invoke('c1'), sunk('c1', 'n1'), sunk('c2', 'n2', 200), answer('c1', 'n1'), ...settled()]
    const { violations, repeatedEffects } = check(promised('rerun'), historyOf(...lines))
    expect(violations).toEqual([])
    expect(repeatedEffects).toBe(1)
  })

  it('sees a step that holds and is run twice, and lets the others repeat (I1)', () => {
    const twice = (part: string) =>
      rulesOf('steps', invoke('c1'), sunk('c1', 'n1', 100, part), sunk('c1', 'n2', 100, part), ...settled())
    expect(twice('once')).toEqual(['I1: at most one effect'])
    expect(twice('first')).toEqual([])
  })

  it('sees half a transaction (I1)', () => {
    const row = { k: 'row', op: OP, call: 'c1', fence: 100, nonce: 'n1' } as const
    const ended = settled()
    expect(
      rulesOf('transaction', invoke('c1'), answer('c1', 'n1'), ...ended, row, { k: 'sum', sum: 2 }),
    ).toEqual([])
    expect(
      rulesOf('transaction', invoke('c1'), answer('c1', 'n1'), ...ended, row, { k: 'sum', sum: 3 }),
    ).toEqual(['I1: the writes of a transaction commit together'])
  })

  it('sees an answer without an effect (I2)', () => {
    expect(rulesOf('hold', invoke('c1'), answer('c1', 'n1'), ...settled())).toContain(
      'I2: an answer has an effect',
    )
    expect(rulesOf('transaction', invoke('c1'), answer('c1', 'n1'), ...settled())).toContain(
      'I2: exactly one effect of what was acknowledged',
    )
  })

  it('sees an acknowledged operation that the store has forgotten (I2)', () => {
    const lines = [invoke('c1'), sunk('c1', 'n1'), answer('c1', 'n1'), { k: 'heal', t: HEALED_AT } as const]
    const probe = [invoke('p0', HEALED_AT + 1), answer('p0', 'n1', HEALED_AT + 2)]
    expect(rulesOf('hold', ...lines, ...probe)).toContain('I2: what was acknowledged is remembered')
  })

  it('sees two callers that were told different things (I3)', () => {
    const lines = [invoke('c1'), sunk('c1', 'n1'), sunk('c1', 'n2'), answer('c1', 'n2')]
    expect(rulesOf('rerun', ...lines, ...settled())).toEqual(['I3: all answers are equal'])
  })

  it('sees the answer of another input, and of another scope (I4)', () => {
    const lines = [invoke('c1', 0, 2), sunk('c1', 'n1'), answer('c1', 'n1')]
    expect(rulesOf('hold', ...lines, ...settled())).toContain('I4: no byte of another input or scope')
    const message = `failed: ${canaryOf('run.1.b/k0', 1)}`
    const error = { k: 'error', call: 'c1', own: true, message } as const
    expect(rulesOf('hold', invoke('c1'), sunk('c1', 'n1'), error, ...settled())).toEqual([
      'I4: no byte of another input or scope',
    ])
  })

  it('sees a fence that is not greater, and one that is given twice (I5)', () => {
    const base = [invoke('c1'), sunk('c1', 'n1', 100)]
    expect(rulesOf('rerun', ...base, claimed(1, 2, 101), claimed(500, 501, 100), ...settled())).toContain(
      'I5: fences increase',
    )
    const twice = { ...claimed(500, 501, 101), owner: 'another' } as Noted
    expect(rulesOf('rerun', ...base, claimed(1, 2, 101), twice, ...settled())).toContain(
      'I5: fences increase',
    )
    expect(
      rulesOf(
        'rerun',
        ...base,
        ...settled(
          'n1',
          record('done', [
            ['claimed', 101],
            ['taken-over', 101],
            ['completed', 101],
          ]),
        ),
      ),
    ).toContain('I5: fences increase')
  })

  it('does not judge grants that may have been given in either order', () => {
    const lines = [invoke('c1'), sunk('c1', 'n1', 100), claimed(1, 9, 101), claimed(2, 8, 100)]
    expect(rulesOf('rerun', ...lines, ...settled())).toEqual([])
  })

  it('sees a finished operation that goes on (I6)', () => {
    const moved = record('done', [
      ['claimed', 100],
      ['completed', 100],
      ['claimed', 101],
      ['completed', 101],
    ])
    expect(rulesOf('rerun', invoke('c1'), sunk('c1', 'n1'), ...settled('n1', moved))).toEqual([
      'I6: declared edges',
    ])
  })

  it('sees a smaller fence at a fenced resource (I8)', () => {
    const lines = [invoke('c1'), sunk('c1', 'n1', 200), sunk('c1', 'n2', 100)]
    expect(rulesOf('rerun', ...lines, ...settled())).toEqual([
      'I8: a fenced resource accepts no smaller fence',
    ])
  })

  it('sees a stale owner that is believed (I8)', () => {
    const base = [invoke('c1'), sunk('c1', 'n1', 100), claimed(10, 12, 100), claimed(400, 410, 600, true)]
    const complete = (sent: number, applied: boolean) =>
      ({ k: 'store', sent, t: sent + 2, method: 'complete', op: OP, fence: 100, applied }) as const
    const rules = (line: Noted) => rulesOf('rerun', ...base, line, ...settled())
    expect(rules(complete(411, true))).toEqual(['I8: a stale owner changes nothing'])
    expect(rules(complete(411, false))).toEqual([])
    expect(rules(complete(405, true))).toEqual([])
  })

  it('sees a held operation that ended by itself, and a decision without an audit (I9)', () => {
    const base = [invoke('c1'), sunk('c1', 'n1')]
    const byItself = record('done', [
      ['claimed', 100],
      ['held', 100],
      ['completed', 100],
    ])
    expect(rulesOf('hold', ...base, ...settled('n1', byItself))).toEqual(['I9: held ends only by a decision'])
    const decided = record('done', [
      ['claimed', 100],
      ['held', 100],
      ['resolved', 100],
    ])
    expect(rulesOf('hold', ...base, ...settled('n1', decided))).toEqual(['I9: every decision is audited'])
    const audit = { k: 'audit', op: OP, fence: 100, as: 'done' } as const
    expect(rulesOf('hold', ...base, audit, ...settled('n1', decided))).toEqual([])
  })

  it('sees an operation that does not settle, or settles late (I11)', () => {
    const heal = { k: 'heal', t: HEALED_AT } as const
    const busy = {
      k: 'error',
      call: 'p0',
      code: 'IN_PROGRESS',
      effect: 'none',
      message: '',
      own: false,
    } as const
    const open = [invoke('c1'), heal, invoke('p0', HEALED_AT + 1), { ...busy, t: HEALED_AT + 900 }]
    expect(rulesOf('hold', ...open)).toEqual(['I11: every operation settles'])
    const late = HEALED_AT + LEASE_MS * 3 + 600
    const done = {
      ...record('done', [
        ['claimed', 100],
        ['completed', 100],
      ]),
      t: late + 1,
    }
    const lateLines = [
      invoke('c1'),
      sunk('c1', 'n1'),
      heal,
      invoke('p0', HEALED_AT + 1),
      answer('p0', 'n1', late),
      done,
    ]
    expect(rulesOf('hold', ...lateLines)).toEqual(['I11: every operation settles'])
    expect(rulesOf('hold', ...lateLines, { k: 'lag', ms: 200, lifeMs: 200 })).toEqual([])
    expect(
      rulesOf('hold', invoke('c1'), sunk('c1', 'n1'), ...settled(), {
        k: 'unsettled',
        worker: 0,
        calls: ['c1'],
      }),
    ).toEqual(['I11: every call ends'])
  })

  it('sees an operation that stays held although somebody could be asked (I11)', () => {
    const heal = { k: 'heal', t: HEALED_AT } as const
    const held = {
      k: 'error',
      call: 'p0',
      code: 'OUTCOME_UNKNOWN',
      effect: 'unknown',
      message: '',
      own: false,
    } as const
    const lines = [invoke('c1'), heal, invoke('p0', HEALED_AT + 1), { ...held, t: HEALED_AT + 9 }]
    const kept = {
      ...record('held', [
        ['claimed', 100],
        ['held', 100],
      ]),
      t: HEALED_AT + 10,
    }
    expect(rulesOf('hold', ...lines, kept)).toEqual([])
    expect(rulesOf('reconciled', ...lines, kept)).toEqual(['I11: what can be reconciled is'])
    expect(rulesOf('reconciled', ...lines, { ...kept, mayAskInMs: 50 })).toEqual([])
  })

  it('sees a takeover and a lapse before the lease was over (I12)', () => {
    const base = [invoke('c1'), sunk('c1', 'n1', 100), claimed(10, 12, 100)]
    const renew = {
      k: 'store',
      sent: 110,
      t: 112,
      method: 'renew',
      op: OP,
      fence: 100,
      applied: true,
    } as const
    const rules = (...lines: readonly Noted[]) => rulesOf('rerun', ...base, ...lines, ...settled())
    expect(rules(claimed(300, 312, 400, true))).toEqual([])
    expect(rules(claimed(200, 202, 400, true))).toEqual(['I12: no takeover before the lapse'])
    expect(rules(renew, claimed(300, 312, 400, true))).toEqual(['I12: no takeover before the lapse'])
    const held = { ...claimed(200, 202, 100), state: 'held', owner: 'another' } as Noted
    expect(rules(held)).toEqual(['I12: no lapse before its time'])
  })

  it('sees an operation held whose end the store had acknowledged', () => {
    const done = {
      k: 'store',
      sent: 20,
      t: 22,
      method: 'complete',
      op: OP,
      fence: 100,
      applied: true,
    } as const
    const heal = { k: 'heal', t: HEALED_AT } as const
    const held = {
      k: 'error',
      call: 'p0',
      code: 'OUTCOME_UNKNOWN',
      effect: 'unknown',
      message: '',
      own: false,
    } as const
    const lines = [
      invoke('c1'),
      sunk('c1', 'n1'),
      done,
      heal,
      invoke('p0', HEALED_AT + 1),
      { ...held, t: HEALED_AT + 2 },
    ]
    expect(
      rulesOf(
        'hold',
        ...lines,
        record('held', [
          ['claimed', 100],
          ['held', 100],
        ]),
      ),
    ).toEqual(['held: only what nobody knows'])
  })

  it('sees an operation held whose work never began, though its process was sound', () => {
    const heal = { k: 'heal', t: HEALED_AT } as const
    const lag = { k: 'lag', w: '0.0', ms: 0, lifeMs: 0 } as const
    const lapsed = [
      ...[invoke('c1'), heal, invoke('p0', HEALED_AT + 1)],
      {
        k: 'error',
        call: 'p0',
        code: 'OUTCOME_UNKNOWN',
        effect: 'unknown',
        message: '',
        own: false,
        t: HEALED_AT + 2,
      },
      record('held', [
        ['claimed', 100],
        ['held', 100],
      ]),
    ] as const
    const by = (who: string) => Object.assign(claimed(1, 2, 100), { w: who })
    expect(rulesOf('hold', ...lapsed, lag, by('0.0'))).toEqual(['held: only what nobody knows'])
    // Another process, which did not live to the end, may have been granted it and died; who heard of it did nothing.
    const heard = Object.assign(claimed(1, 2, 100), { w: '0.0', state: 'held', t: 400, sent: 399 })
    expect(rulesOf('hold', ...lapsed, lag, heard)).toEqual([])
    expect(rulesOf('hold', ...lapsed, lag, by('1.0'))).toEqual([])
    // The store of a machine that is too busy: the grant, or what gives it back, comes when the lease is over.
    const late = Object.assign(claimed(1, 1000, 100), { w: '0.0' })
    expect(rulesOf('hold', ...lapsed, lag, late)).toEqual([])
  })

  it('sees an error that says "none" after an effect, and "done" without one', () => {
    const error = (effect: string) =>
      ({ k: 'error', call: 'c1', code: 'STORE_UNAVAILABLE', effect, message: '', own: false }) as const
    expect(rulesOf('hold', invoke('c1'), sunk('c1', 'n1'), error('none'), ...settled())).toEqual([
      'errors: "none", and yet it had an effect',
    ])
    expect(rulesOf('hold', invoke('c1'), sunk('c1', 'n1'), error('unknown'), ...settled())).toEqual([])
    const failed = {
      k: 'error',
      call: 'p0',
      code: 'OPERATION_FAILED',
      effect: 'none',
      message: '',
      own: false,
    } as const
    const ended = [
      { k: 'heal', t: HEALED_AT } as const,
      invoke('p0', HEALED_AT + 1),
      { ...failed, t: HEALED_AT + 2 },
    ]
    const state = record('done', [
      ['claimed', 100],
      ['failed', 100],
    ])
    expect(rulesOf('hold', invoke('c1'), error('done'), ...ended, state)).toEqual([
      'errors: "done", and yet there is none',
    ])
  })

  it('sees an error from inside the library', () => {
    const error = { k: 'error', call: 'c1', message: 'x is not a function', own: false } as const
    expect(rulesOf('hold', invoke('c1'), error, sunk('c2', 'n1'), ...settled())).toEqual([
      'errors: nobody gets an error from inside the library',
    ])
  })

  it('sees a record that cannot be read', () => {
    const unreadable = { k: 'unreadable', op: OP, message: 'done without an outcome' } as const
    expect(rulesOf('hold', invoke('c1'), sunk('c1', 'n1'), ...settled(), unreadable)).toEqual([
      'I6: every record can be read',
    ])
  })

  it('takes no trial for good that was not healed', () => {
    expect(rulesOf('hold', invoke('c1'))).toEqual(['trial: it was healed'])
  })
})
