import { type Evidence, groupBy } from './evidence.ts'
import type { Mode } from './plan.ts'

/** Ways to be safe that promise at most one effect, whatever happens. */
const AT_MOST_ONCE = new Set<Mode | undefined>(['hold', 'reconciled', 'downstream', 'transaction'])

/** Those that still do when the store forgets what it has acknowledged: what tells a repetition is not in it, or is lost with it. */
const SAFE_FROM_LOSS = new Set<Mode | undefined>(['downstream', 'transaction'])

/** I1, I8, and transactions that commit as a whole. Answers how many effects were repeated where that is allowed. */
export function checkEffects({ effects, modeOf, of, lossy, report }: Evidence): number {
  let repeated = 0
  for (const [name, same] of groupBy(effects, ({ op, part }) => `${op} ${part}`)) {
    const [first, second] = same
    if (first === undefined || second === undefined) continue
    const mode = modeOf(first.op)
    const promised = lossy ? SAFE_FROM_LOSS : AT_MOST_ONCE
    if (promised.has(mode) || (!lossy && mode === 'steps' && first.part === 'once')) {
      const message = `${name} (${mode}) had ${same.length} effects: call ${first.call}, then ${second.call}`
      report('I1: at most one effect', message)
    } else repeated += same.length - 1
  }
  const last = new Map<string, number>()
  for (const { op, fence } of of('sunk')) {
    if (modeOf(op) !== 'rerun') continue
    if (fence < (last.get(op) ?? 0))
      report('I8: a fenced resource accepts no smaller fence', `${op}: ${fence}`)
    last.set(op, fence)
  }
  const rows = of('row').length
  for (const { sum } of of('sum')) {
    if (sum !== rows * 2)
      report(
        'I1: the writes of a transaction commit together',
        `${rows} rows, and ${sum} units on the accounts`,
      )
  }
  return repeated
}
