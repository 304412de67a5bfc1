import { type Evidence, groupBy } from './evidence.ts'
import type { Mode } from './plan.ts'

/** What a store lost that it had acknowledged, and what followed. */
export interface Losses {
  /** Operations whose value somebody had been told before the store lost its tail. */
  readonly acknowledgedBefore: number
  /** Those of them that the store has forgotten: absent in the end, or run again with another value. */
  readonly acknowledgedGone: number
  /** Effects beyond the first in modes that promise one while the store keeps what it has acknowledged. */
  readonly secondEffects: number
}

const PROMISE_ONE = new Set<Mode | undefined>(['hold', 'reconciled'])

/** Counts the losses of one trial, where the store is known to lose. */
export function lossesOf({ of, calls, effects, modeOf, lossy }: Evidence): Losses {
  const cut = of('fault').find(({ kind }) => /^(?:failover|power-cut|store-kill)$/.test(kind))
  if (!lossy || cut === undefined) return { acknowledgedBefore: 0, acknowledgedGone: 0, secondEffects: 0 }
  const records = new Map(of('record').map(({ op, state }) => [op, state]))
  const answers = groupBy(of('answer'), ({ call }) => calls.get(call)?.op ?? '')
  let acknowledgedBefore = 0
  let acknowledgedGone = 0
  for (const [op, told] of answers) {
    const before = told.find(({ t }) => t < cut.t)
    if (before === undefined) continue
    acknowledgedBefore++
    if (records.get(op) !== 'done' || told.some(({ value }) => value !== before.value)) acknowledgedGone++
  }
  let secondEffects = 0
  for (const same of groupBy(effects, ({ op, part }) => `${op} ${part}`).values()) {
    const [first] = same
    if (first === undefined) continue
    const mode = modeOf(first.op)
    if (PROMISE_ONE.has(mode) || (mode === 'steps' && first.part === 'once')) secondEffects += same.length - 1
  }
  return { acknowledgedBefore, acknowledgedGone, secondEffects }
}
