import { type Evidence, groupBy } from './evidence.ts'
import type { EventOf } from './history.ts'

/** What may follow each event in the history of a record (I6). */
const NEXT: Readonly<Record<string, readonly string[]>> = {
  claimed: ['completed', 'failed', 'released', 'held', 'taken-over'],
  'taken-over': ['completed', 'failed', 'released', 'held', 'taken-over'],
  completed: [],
  failed: [],
  released: ['claimed'],
  held: ['resolved'],
  resolved: ['claimed'],
}

/** The most events a record keeps. */
const MOST_EVENTS = 16

/** I5, I6 and I9 from the final records, and that a held operation is one whose outcome nobody knows. */
export function checkRecords(evidence: Evidence): void {
  const { of, report, lossy } = evidence
  const audits = groupBy(of('audit'), ({ op }) => op)
  const ends = groupBy(
    of('store').filter(({ method, applied }) => applied === true && /^(?:complete|release)$/.test(method)),
    ({ op, fence }) => `${op} ${fence}`,
  )
  for (const record of of('record')) {
    const { op, state, fence, events } = record
    checkEvents(record, report)
    const resolved = events.filter(({ event }) => event === 'resolved').length
    const audited = audits.get(op)?.length ?? 0
    if (events.length < MOST_EVENTS && resolved !== audited)
      report(
        'I9: every decision is audited',
        `${op} was resolved ${resolved} times and audited ${audited} times`,
      )
    if (!lossy && state === 'held' && ends.has(`${op} ${fence}`))
      report(
        'held: only what nobody knows',
        `${op} is held though the end of fence ${fence} was acknowledged`,
      )
  }
  checkHolds(evidence)
  for (const { op, message } of of('unreadable')) report('I6: every record can be read', `${op}: ${message}`)
  if (lossy) return
  const records = new Map(of('record').map((record) => [record.op, record]))
  const calls = evidence.calls
  for (const { call } of of('answer')) {
    const op = calls.get(call)?.op
    if (op === undefined) continue
    const state = records.get(op)?.state
    if (state !== 'done')
      report('I2: what was acknowledged is remembered', `${op} was answered, and is ${state ?? 'absent'}`)
  }
}

/**
 * A claim that never led to work is given back by its process. It may lapse into held only where that process was kept
 * from doing so: it died, was stopped or starved, or could not reach the store in time.
 */
function checkHolds({ of, promised, lossy, report }: Evidence): void {
  if (lossy) return
  if (of('fault').some(({ kind }) => /^(?:net|store|disk|sessions|cache|failover)/.test(kind))) return
  const sound = new Set(
    of('lag').flatMap(({ w, lifeMs }) => (w !== undefined && lifeMs < promised.leaseMs / 4 ? [w] : [])),
  )
  const begun = new Set(of('begin').map(({ op, fence }) => `${op} ${fence}`))
  for (const { op, state, fence } of of('record')) {
    if (state !== 'held' || begun.has(`${op} ${fence}`)) continue
    const claim = of('store').find(
      (event) => event.state === 'claimed' && event.op === op && event.fence === fence,
    )
    const [worker] = claim?.w?.split('.') ?? []
    const silent = of('fault').some(({ kind, worker: of }) => kind !== 'reply-lost' && String(of) === worker)
    const slow = of('store').some(
      (event) => event.w === claim?.w && event.op === op && event.t - event.sent >= promised.leaseMs / 4,
    )
    if (claim?.w !== undefined && sound.has(claim.w) && !silent && !slow)
      report('held: only what nobody knows', `${op} is held though the work of fence ${fence} never began`)
  }
}

function checkEvents({ op, events, state }: EventOf<'record'>, report: Evidence['report']): void {
  for (const [index, { event, fence }] of events.entries()) {
    const next = events[index + 1]
    if (next === undefined) break
    if (!NEXT[event]?.includes(next.event)) {
      const rule = event === 'held' ? 'I9: held ends only by a decision' : 'I6: declared edges'
      report(rule, `${op}: ${event} was followed by ${next.event}`)
    }
    const grant = next.event === 'claimed' || next.event === 'taken-over'
    if (grant ? next.fence <= fence : next.fence !== fence)
      report('I5: fences increase', `${op}: ${next.event} has fence ${next.fence} after ${fence}`)
  }
  const last = events.at(-1)?.event
  const fits =
    state === 'done'
      ? last === 'completed' || last === 'failed' || last === 'resolved'
      : state === 'held'
        ? last === 'held'
        : true
  if (!fits) report('I6: declared edges', `${op} is ${state} after ${last}`)
}
