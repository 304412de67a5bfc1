import type { Evidence } from './evidence.ts'

/** How much longer than three leases a worker waits for its calls to end, in ms. */
export const PATIENCE_MS = 10_000

/** What a probe may hear of an operation that has come to rest. */
const AT_REST = new Set(['OPERATION_FAILED', 'OUTCOME_NOT_REPLAYABLE', 'OUTCOME_UNKNOWN'])

/** What the machine may take for starting a timer or a connection while everything else runs, in ms. */
const SLACK_MS = 500

/** So many calls of the store an operation may need to settle: refused, asked about, decided, claimed, ended. */
const ROUND_TRIPS = 10

/** How long an asker of a held operation keeps others quiet, beyond one lease, in ms. */
const QUIET_MS = 1000

/** How soon operations settled after the heal. */
export interface Settling {
  /** How long the slowest took, in leases. */
  readonly slowestLeases: number
  /** The machine was so busy that nothing could be said. */
  readonly tooBusy: boolean
}

/** I11: after the heal every operation settles within three leases. */
export function checkSettling(evidence: Evidence): Settling {
  const { of, promised, calls, modeOf, report } = evidence
  const healed = of('heal')[0]?.t
  if (healed === undefined) {
    report('trial: it was healed', 'the history has no heal')
    return { slowestLeases: 0, tooBusy: false }
  }
  const slackMs = slackOf(evidence, healed)
  if (slackMs > PATIENCE_MS) return { slowestLeases: 0, tooBusy: true }
  for (const { worker, calls: open } of of('unsettled')) {
    report('I11: every call ends', `worker ${worker} still waits for ${open.join(', ')}`)
  }
  // A worker that must be started first is the trial's delay, not the library's.
  const askedAt = new Map<string, number>()
  for (const { t, op, probe } of of('invoke')) if (probe && !askedAt.has(op)) askedAt.set(op, t)
  const restedAt = new Map<string, number>()
  for (const event of evidence.history) {
    if (event.t < healed || (event.k !== 'answer' && event.k !== 'error')) continue
    const call = calls.get(event.call)
    if (call?.probe !== true || restedAt.has(call.op)) continue
    if (event.k === 'answer' || AT_REST.has(event.code ?? '')) restedAt.set(call.op, event.t)
  }
  const records = new Map(of('record').map((record) => [record.op, record]))
  let slowest = 0
  for (const { op } of promised.keys) {
    const at = restedAt.get(op)
    const state = records.get(op)?.state ?? 'absent'
    if (at === undefined) {
      report(
        'I11: every operation settles',
        `${op} (${modeOf(op)}) was asked for after the heal and is ${state}`,
      )
      continue
    }
    const tookMs = at - (askedAt.get(op) ?? healed)
    slowest = Math.max(slowest, tookMs / promised.leaseMs)
    const quiet = modeOf(op) === 'reconciled' ? QUIET_MS + promised.leaseMs : 0
    const limit = promised.leaseMs * 3 + promised.timeoutMs + quiet + slackMs
    if (tookMs > limit)
      report(
        'I11: every operation settles',
        `${op} took ${Math.round(tookMs)} ms, at most ${Math.round(limit)}`,
      )
    // Where the store has forgotten an end, a process that remembers it may have answered the probe by itself.
    if (!evidence.lossy && state !== 'done' && state !== 'held')
      report('I11: every operation settles', `${op} is ${state} in the end`)
  }
  if (!evidence.lossy) checkReconciled(evidence)
  return { slowestLeases: slowest, tooBusy: false }
}

/** What the machine itself takes: a trial on a busy one must not be blamed on the library. */
function slackOf({ of }: Evidence, healed: number): number {
  const lag = Math.max(0, ...of('lag').map(({ ms }) => ms))
  const took = of('store')
    .filter(({ sent, error }) => sent > healed && error === undefined)
    .map(({ t, sent }) => t - sent)
    .sort((a, b) => a - b)
  const slowCall = took[Math.floor(took.length * 0.9)] ?? 0
  return SLACK_MS + lag * 2 + slowCall * ROUND_TRIPS
}

/** What somebody could be asked about does not stay held, unless its quiet time is not over. */
function checkReconciled({ of, modeOf, report }: Evidence): void {
  for (const { op, state, mayAskInMs, heldReason } of of('record')) {
    if (state === 'held' && modeOf(op) === 'reconciled' && mayAskInMs === 0)
      report('I11: what can be reconciled is', `${op} is still held: ${heldReason}`)
  }
}
