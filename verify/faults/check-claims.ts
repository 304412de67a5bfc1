import { type Evidence, groupBy } from './evidence.ts'
import type { EventOf } from './history.ts'

/** A grant, as the one who was granted it saw it: it was given between the two times. */
interface Grant {
  readonly fence: number
  readonly sent: number
  readonly got: number
  readonly takenOver: boolean
}

/** How far two readings of one machine's clock, or the rounding of a store's, may be apart, in ms. */
const CLOCK_MS = 10

/**
 * I5, I8 and I12, from what the claimants themselves saw.
 *
 * ```
 *  A asks    A is granted   A renews     A's lease cannot end before here
 *    │            │            │───────── leaseMs ────────▶│
 *                                        B asks ── B is granted: not before it
 * ```
 */
export function checkClaims(evidence: Evidence): void {
  const { of, promised, lossy, report } = evidence
  const stores = groupBy(of('store'), ({ op }) => op)
  const committed = groupBy(
    of('transaction').filter((one) => one.committed && one.fence !== undefined),
    ({ op }) => op,
  )
  for (const { op } of promised.keys) {
    const events = stores.get(op) ?? []
    const grants = grantsOf(events, committed.get(op) ?? [], report)
    checkFences(op, grants, report)
    if (lossy) continue
    checkStaleOwners(op, grants, events, report)
    checkLapses(op, grants, events, promised.leaseMs, report)
  }
}

type Report = Evidence['report']

function grantsOf(
  events: readonly EventOf<'store'>[],
  committed: readonly EventOf<'transaction'>[],
  report: Report,
): readonly Grant[] {
  // The same grant is told again when its first reply was lost; the earliest telling is the one that bounds it.
  const byFence = new Map<number, Grant & { readonly owner: string | undefined }>()
  for (const { sent, t, method, op, state, fence, takenOver, owner } of events) {
    if (method !== 'claim' || state !== 'claimed' || fence === undefined) continue
    const known = byFence.get(fence)
    if (known && known.owner !== owner)
      report('I5: fences increase', `${op}: fence ${fence} was granted to two claims`)
    if (known === undefined || t < known.got)
      byFence.set(fence, { fence, sent, got: t, takenOver: takenOver === true, owner })
  }
  const inTransactions = committed.map(({ sent, t, fence = 0 }) => ({
    fence,
    sent,
    got: t,
    takenOver: false,
  }))
  return [...byFence.values(), ...inTransactions].sort((a, b) => a.fence - b.fence)
}

/** I5: a grant that was heard of before another one was asked for has the smaller fence. */
function checkFences(op: string, grants: readonly Grant[], report: Report): void {
  for (const [index, grant] of grants.entries()) {
    // Those after it in this order have greater fences, so none of them may have been over before it began.
    for (const later of grants.slice(index + 1)) {
      if (later.got < grant.sent || later.fence === grant.fence) {
        report('I5: fences increase', `${op}: fence ${later.fence} was granted before ${grant.fence}`)
        return
      }
    }
  }
}

/** I8: once another is known to have been granted the operation, its former owner changes nothing. */
function checkStaleOwners(
  op: string,
  grants: readonly Grant[],
  events: readonly EventOf<'store'>[],
  report: Report,
): void {
  for (const { method, fence, sent, applied } of events) {
    if (applied !== true || fence === undefined || method === 'takeTurn') continue
    const newer = grants.find((grant) => grant.fence > fence && grant.got <= sent)
    if (newer) {
      const message = `${op}: ${method} of fence ${fence} was accepted after fence ${newer.fence} was granted`
      report('I8: a stale owner changes nothing', message)
      return
    }
  }
}

/** I12: nobody takes a claim over, or finds it lapsed, while its lease still lasts. */
function checkLapses(
  op: string,
  grants: readonly Grant[],
  events: readonly EventOf<'store'>[],
  leaseMs: number,
  report: Report,
): void {
  for (const [index, grant] of grants.entries()) {
    const ended = events.some(
      ({ method, fence, applied, error }) =>
        fence === grant.fence &&
        /^(?:complete|release|hold)$/.test(method) &&
        // One that failed may have been applied all the same.
        (applied === true || error !== undefined),
    )
    if (ended) continue
    const renewed = events
      .filter(({ method, fence, applied }) => method === 'renew' && fence === grant.fence && applied === true)
      .map(({ sent }) => sent)
    const leaseEnds = Math.max(grant.sent, ...renewed) + leaseMs
    const next = grants[index + 1]
    if (next?.takenOver && next.got < leaseEnds - CLOCK_MS) {
      const early = Math.round(leaseEnds - next.got)
      report(
        'I12: no takeover before the lapse',
        `${op}: fence ${grant.fence} was taken over ${early} ms early`,
      )
    }
    for (const { method, state, fence, t } of events) {
      if (method !== 'claim' || state !== 'held' || fence !== grant.fence || t >= leaseEnds - CLOCK_MS)
        continue
      report(
        'I12: no lapse before its time',
        `${op}: fence ${fence} was held ${Math.round(leaseEnds - t)} ms early`,
      )
      break
    }
  }
}
