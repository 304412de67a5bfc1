import type { Plan, PlannedCall, PlannedKey } from './plan.ts'

/** Tells whether a plan still shows the failure, and which of its messages met a fault. */
export type Retry = (plan: Plan) => { readonly fails: boolean; readonly faulted: readonly number[] }

/** A plan is tried at most so many times. */
const MAX_TRIES = 3000

/**
 * Makes a failing plan smaller: takes calls, faults, message faults and peculiarities away as long as it still fails.
 *
 * Limit: it stops at a plan from which no single thing can be taken; a smaller one may exist.
 */
export function shrink(plan: Plan, retry: Retry): Plan {
  let smallest = plan
  let tries = 0
  const keep = (candidate: Plan): boolean => {
    if (tries++ >= MAX_TRIES || !retry(candidate).fails) return false
    smallest = candidate
    return true
  }
  for (let before: Plan | undefined; before !== smallest && tries < MAX_TRIES; ) {
    before = smallest
    spareMessages(() => smallest, retry, keep)
    for (let index = smallest.calls.length - 1; index >= 0; index--) {
      keep({ ...smallest, calls: without(smallest.calls, index) })
    }
    for (let index = smallest.faults.length - 1; index >= 0; index--) {
      keep({ ...smallest, faults: without(smallest.faults, index) })
    }
    for (const simpler of simplifications(smallest)) keep(simpler(smallest))
  }
  return smallest
}

/** Spares messages in halves, quarters and so on, down to single ones. */
function spareMessages(current: () => Plan, retry: Retry, keep: (plan: Plan) => boolean): void {
  const faulted = retry(current()).faulted
  for (let size = faulted.length; size >= 1; size = Math.floor(size / 2)) {
    for (let start = 0; start < faulted.length; start += size) {
      const { network, ...rest } = current()
      const spared = new Set([...network.spared, ...faulted.slice(start, start + size)])
      if (spared.size > network.spared.length) keep({ ...rest, network: { ...network, spared: [...spared] } })
    }
  }
}

type Simpler = (plan: Plan) => Plan

function simplifications(plan: Plan): Simpler[] {
  const calls = (change: Partial<PlannedCall>) =>
    plan.calls.map(
      (_, at): Simpler =>
        (now) => ({ ...now, calls: changed(now.calls, at, change) }),
    )
  const keys = (change: Partial<PlannedKey>) =>
    plan.keys.map(
      (_, at): Simpler =>
        (now) => ({ ...now, keys: changed(now.keys, at, change) }),
    )
  return [
    (now) => ({ ...now, processes: now.processes.map((process) => ({ ...process, skewMs: 0, drift: 0 })) }),
    ...calls({ retries: 0 }),
    ...calls({ behaviour: 'ok' }),
    ...calls({ input: 1 }),
    ...keys({ steps: 0, holdingStep: false }),
    ...keys({ oracle: 'none' }),
  ]
}

function changed<T>(items: readonly T[], index: number, change: Partial<T>): readonly T[] {
  return items.map((item, at) => (at === index ? { ...item, ...change } : item))
}

function without<T>(items: readonly T[], index: number): readonly T[] {
  return items.filter((_, at) => at !== index)
}
