import { describe, expect, it } from 'vitest'
import { checkWork } from './check-work.ts'
import type { NotedWork, WorkEvent } from './work-events.ts'
import type { LaneName } from './work-plan.ts'

/** A history that was written by hand, each line 10 ms after the one before. */
function rulesOf(lane: LaneName, lines: readonly NotedWork[]): readonly string[] {
  const history = lines.map((line, index) => ({ t: index * 10, w: 'test', ...line }) as WorkEvent)
  return [...new Set(checkWork(lane, history).violations.map(({ rule }) => rule))]
}

const uses = (call: string, about: 'consume' | 'redeem', outcome: string, value?: string): NotedWork[] => [
  { k: 'asked', call, about, item: '7' },
  { k: 'answered', call, outcome, ...(value === undefined ? {} : { value }) },
]
const effect = (item: string, call: string, attempt = 1): NotedWork => ({
  k: 'effect',
  item,
  call,
  attempt,
  fence: attempt * 10,
})

describe('the checker of tokens', () => {
  it('lets a token pass that one caller got and the others were refused', () => {
    const lines = [...uses('a', 'consume', 'consumed', '7'), ...uses('b', 'consume', 'used')]
    expect(rulesOf('tokens', lines)).toEqual([])
  })

  it('blames two successes, and two effects', () => {
    const twice = [...uses('a', 'consume', 'consumed', '7'), ...uses('b', 'consume', 'consumed', '7')]
    expect(rulesOf('tokens', twice)).toEqual(['I7'])
    const redeemed = [effect('7', 'a'), effect('7', 'b'), ...uses('a', 'redeem', 'executed', '{"by":"a"}')]
    expect(rulesOf('tokens', redeemed)).toEqual(['I7'])
  })

  it('blames answers that differ, and answers without an effect', () => {
    const differ = [
      effect('7', 'a'),
      ...uses('a', 'redeem', 'executed', '{"by":"a"}'),
      ...uses('b', 'redeem', 'replayed', '{"by":"b"}'),
    ]
    expect(rulesOf('tokens', differ)).toEqual(['I3', 'I2'])
  })

  it('lets a token pass that nobody got whose claim took longer than a lease', () => {
    const slow = (leaseMs: number): NotedWork[] => [
      { k: 'start', worker: 0, life: 0, leaseMs },
      { k: 'asked', call: 'p', about: 'consume', item: '7', probe: true },
      { k: 'answered', call: 'p', outcome: 'used' },
    ]
    expect(rulesOf('tokens', slow(10))).toEqual([])
    expect(rulesOf('tokens', slow(11))).toEqual(['I7'])
  })

  it('blames a token that nobody got though everybody was heard of', () => {
    const lines: NotedWork[] = [
      { k: 'asked', call: 'p', about: 'consume', item: '7', probe: true },
      { k: 'answered', call: 'p', outcome: 'used' },
    ]
    expect(rulesOf('tokens', lines)).toEqual(['I7'])
  })
})

const change = (n: number, from: string, to: string, attempts: readonly [number, number]): NotedWork => ({
  k: 'change',
  n,
  id: 't',
  from,
  to,
  fromAttempt: attempts[0],
  toAttempt: attempts[1],
  fence: attempts[1] * 10,
  leaseUntil: 500,
  at: n * 200,
})
const task = (state: string, attempt: number, more: object = {}): NotedWork => ({
  k: 'task',
  id: 't',
  item: 'x',
  state,
  attempt,
  onCrash: 'hold',
  result: '"effect of 0.0.h1"',
  history: [],
  ...more,
})
const LIFE = [
  change(1, '', 'pending', [0, 0]),
  change(2, 'pending', 'running', [0, 1]),
  change(3, 'running', 'done', [1, 1]),
]

describe('the checker of tasks', () => {
  it('lets a task pass that was created, run and done', () => {
    expect(rulesOf('tasks', [effect('t', '0.0.h1'), task('done', 1), ...LIFE])).toEqual([])
  })

  it('blames edges that nobody has declared, and attempts that begin without a claim', () => {
    const revived = [task('running', 1), ...LIFE, change(4, 'done', 'running', [1, 2])]
    expect(rulesOf('tasks', revived)).toContain('I6')
    const unclaimed = [
      effect('t', '0.0.h1'),
      task('done', 0),
      change(1, '', 'pending', [0, 0]),
      change(2, 'pending', 'done', [0, 0]),
    ]
    expect(rulesOf('tasks', unclaimed)).toContain('I6')
  })

  it('blames a task that was ended by an attempt that had lost it', () => {
    const lines = [
      effect('t', '0.0.h1', 1),
      task('done', 2, { onCrash: 'rerun' }),
      ...LIFE.slice(0, 2),
      change(3, 'running', 'pending', [1, 1]),
      change(4, 'pending', 'running', [1, 2]),
      change(5, 'running', 'done', [2, 2]),
    ]
    expect(rulesOf('tasks', lines)).toEqual(['I6'])
  })

  it('blames two effects of a task that holds, and a lapse before its time', () => {
    const twice = [effect('t', '0.0.h1'), effect('t', '0.0.h2'), task('done', 1), ...LIFE]
    expect(rulesOf('tasks', twice)).toContain('I1')
    const early = [
      task('held', 1, { history: [{ event: 'held', attempt: 1, note: 'Lapsed: nothing was heard' }] }),
      ...LIFE.slice(0, 2),
      { ...change(3, 'running', 'held', [1, 1]), at: 400 } as NotedWork,
    ]
    expect(rulesOf('tasks', early)).toEqual(['I12'])
  })

  it('blames a transaction that left a row without its task, or a task without its row', () => {
    const asked: NotedWork = { k: 'asked', call: 'c', about: 'create', item: 'own-c', tx: true }
    expect(rulesOf('tasks', [asked, { k: 'row', call: 'c', item: 'own-c' }])).toEqual(['I2'])
    const created = [change(1, '', 'pending', [0, 0]), task('pending', 0, { item: 'own-c' })]
    expect(rulesOf('tasks', [asked, ...created])).toEqual(['I1'])
  })

  it('blames a worker that was told an end which never was', () => {
    const told: NotedWork = { k: 'notice', type: 'failed', id: 't', attempt: 1 }
    expect(rulesOf('tasks', [effect('t', '0.0.h1'), task('done', 1), ...LIFE, told])).toEqual(['I6'])
  })
})

const written = (call: string, outcome = 'committed'): NotedWork[] => [
  { k: 'asked', call, about: 'write', item: 'key', commits: true },
  { k: 'answered', call, outcome, id: `id-${call}` },
]
const delivered = (call: string, attempt = 1, at = 100): NotedWork => ({
  k: 'delivered',
  id: `id-${call}`,
  body: JSON.stringify({ of: call }),
  by: 'r',
  attempt,
  at,
})
const row = (call: string): NotedWork => ({ k: 'row', call, item: 'key' })
const inboxRow = (call: string): NotedWork => ({ k: 'inbox-row', message: `id-${call}`, call: `t-${call}` })

describe('the checker of messages', () => {
  it('lets a message pass that was committed, delivered twice and has one effect', () => {
    const lines = [...written('a'), row('a'), delivered('a'), delivered('a', 2), inboxRow('a')]
    expect(rulesOf('messages', lines)).toEqual([])
  })

  it('blames what was committed and not delivered, and what was delivered and not committed', () => {
    expect(rulesOf('messages', [...written('a'), row('a')])).toEqual(['I10'])
    expect(rulesOf('messages', [delivered('a'), inboxRow('a')])).toEqual(['I10'])
  })

  it('blames two effects of one message, and none', () => {
    const two = [...written('a'), row('a'), delivered('a'), inboxRow('a'), inboxRow('a')]
    expect(rulesOf('messages', two)).toEqual(['I10'])
    expect(rulesOf('messages', [...written('a'), row('a'), delivered('a')])).toEqual(['I10'])
  })

  it('blames the wrong order of one key only where one was committed before the other began', () => {
    const all = [row('a'), row('b'), delivered('b'), delivered('a'), inboxRow('a'), inboxRow('b')]
    expect(rulesOf('messages', [...written('a'), ...written('b'), ...all])).toEqual(['I10'])
    const [askedA, toldA] = written('a') as [NotedWork, NotedWork]
    const [askedB, toldB] = written('b') as [NotedWork, NotedWork]
    expect(rulesOf('messages', [askedA, askedB, toldA, toldB, ...all])).toEqual([])
  })

  it('blames an event that left the outbox by the word of another attempt', () => {
    const lines = [...written('a'), row('a'), delivered('a', 1), delivered('a', 2, 300), inboxRow('a')]
    const ended = (at: number): NotedWork => ({ k: 'ended', id: 'id-a', attempt: 2, at })
    expect(rulesOf('messages', [...lines, ended(301)])).toEqual([])
    expect(rulesOf('messages', [...lines, ended(200)])).toEqual(['I6'])
  })
})
