import type { EventOf, Evidence } from './evidence.ts'
import { isStrict } from './plan.ts'

/** How many leases after healing every caller has its answer, beside the work that was still running. */
const SETTLE_LEASES = 3

/** I11: once everything is healed, every caller gets its answer and every operation that can be settled is. */
export function checkLiveness(evidence: Evidence): void {
  const { of, calls, plan, report } = evidence
  for (const { at, call } of of('unsettled')) {
    report('I11: every caller gets an answer', at, `call ${call} of ${calls.get(call)?.op} never did`)
  }
  for (const { at, detail } of of('leftover')) report('I11: nothing is left behind', at, detail ?? '')
  checkProbes(evidence)
  for (const { at, op, record } of of('final')) {
    const key = evidence.key(op)
    if (record === undefined || key === undefined) continue
    // Where a tail was lost, a process may still know an outcome that the store has forgotten.
    if (evidence.lostTail) continue
    const tell = (message: string) => report('I11: every operation settles', at, `${op} ${message}`)
    if (record.state === 'running') tell('runs for ever')
    if (record.state === 'released') tell('was not run by a caller that could')
    // Only an oracle that knows can decide, and only of work that is whole and never given back after its effect.
    if (record.state === 'held' && key.oracle === 'truth' && key.steps === 0 && isStrict(key))
      tell('stayed held though somebody knew')
    const reruns = key.onCrash === 'rerun' && key.onError !== 'hold' && !key.holdingStep
    const unfinished = plan.calls.some(({ behaviour }) => behaviour === 'unstorable')
    if (record.state === 'held' && reruns && !unfinished) tell('was held though it may be run again')
  }
}

function checkProbes({ of, calls, plan, report }: Evidence): void {
  const answered = new Map<number, EventOf<'answer'> | EventOf<'error'>>()
  for (const event of [...of('answer'), ...of('error')]) answered.set(event.call, event)
  const longestRun = Math.max(...plan.calls.map(({ beforeMs, afterMs }) => beforeMs + afterMs))
  const longestAsk = Math.max(...plan.keys.map(({ oracleMs }) => oracleMs))
  const boundMs = SETTLE_LEASES * plan.leaseMs + longestRun + 2 * longestAsk + 2 * plan.leaseMs
  for (const probe of calls.values()) {
    const event = probe.probe ? answered.get(probe.call) : undefined
    if (event === undefined) continue
    const tookMs = event.at - probe.at
    if (tookMs > boundMs) {
      report(
        'I11: settled within three leases',
        event.at,
        `${probe.op} took ${tookMs} ms, the most is ${boundMs}`,
      )
    }
    // A probe right after healing may share a question that was lost before it.
    const shared =
      event.at < plan.healAt + boundMs && event.kind === 'error' && event.code === 'STORE_UNAVAILABLE'
    if (event.kind === 'error' && !shared && !EXPECTED.has(event.code ?? '')) {
      report(
        'I11: every operation settles',
        event.at,
        `a patient caller of ${probe.op} got ${event.code}: ${event.message}`,
      )
    }
  }
}

/** How a patient caller may be answered once nothing goes wrong any more. */
const EXPECTED = new Set(['OUTCOME_UNKNOWN', 'OPERATION_FAILED', 'OUTCOME_NOT_REPLAYABLE', 'KEY_REUSED'])
