import { type EventOf, type Evidence, isForgotten } from './evidence.ts'

type Write = EventOf<'write'>
type Record = Write['after']

/** I5, I6, I9, I12: fences, edges, audited decisions and leases, by what the store wrote. */
export function checkRecords(evidence: Evidence): void {
  const { of, plan, undisturbed, report } = evidence
  const highest = new Map<string, number>()
  const runs = new Map<string, number>()
  for (const write of of('write')) {
    const before = isForgotten(write) ? undefined : write.before
    const edge = `${before?.state ?? 'absent'} → ${write.after.state} by ${write.method}`
    const tell = (rule: string, message: string) =>
      report(rule, write.at, `${write.op}: ${message} (${edge})`)
    const granted = isGrant(before, write.after)

    const last = highest.get(write.op) ?? 0
    if (granted && write.after.fence <= last) {
      tell('I5: fences increase', `fence ${write.after.fence} was granted after ${last}`)
    }
    if (!granted && before !== undefined && write.after.fence !== before.fence) {
      tell('I5: fences change only by a grant', `${before.fence} became ${write.after.fence}`)
    }
    highest.set(write.op, Math.max(last, write.after.fence))

    checkEdge(write, before, granted, tell)
    checkLease(write, before, granted, plan.leaseMs, tell)
    const lapsed =
      before?.state === 'running' && (granted || (write.after.state === 'held' && write.method !== 'hold'))
    if (lapsed && undisturbed) tell('calm: a claim does not lapse without a reason', 'it lapsed')
  }
  for (const { at, op, fence, run } of of('begin')) {
    const other = runs.get(`${op} ${fence}`)
    if (other !== undefined)
      report('I5: one run for each claim', at, `${op}: runs ${other} and ${run} share fence ${fence}`)
    runs.set(`${op} ${fence}`, run)
  }
}

type Tell = (rule: string, message: string) => void

function isGrant(before: Record | undefined, after: Record): boolean {
  if (after.state !== 'running') return false
  return before?.state !== 'running' || before.owner !== after.owner || before.fence !== after.fence
}

function checkEdge(write: Write, before: Record | undefined, granted: boolean, tell: Tell): void {
  const { after, method, audited } = write
  if (before === undefined) {
    if (!granted || method !== 'claim') tell('I6: declared edges', 'a record came from nowhere')
    return
  }
  switch (before.state) {
    case 'done':
      tell('I6: declared edges', 'a finished operation was changed')
      return
    case 'released':
      if (after.state !== 'running' || method !== 'claim')
        tell('I6: declared edges', 'a released one was not claimed')
      return
    case 'held':
      if (after.state === 'held') return
      if (method !== 'resolve' || !audited)
        tell('I9: held ends only by an audited decision', 'it was not decided')
      if (after.state === 'running') tell('I6: declared edges', 'a held operation was run')
      return
    case 'running':
      if (granted && !mayBeTakenOver(before))
        tell('I6: declared edges', 'a claim that holds on a crash was taken over')
      if (after.state === 'released' && method !== 'release' && method !== 'resolve')
        tell('I6: declared edges', 'given back')
      if (after.state === 'done' && method !== 'complete' && method !== 'resolve')
        tell('I6: declared edges', 'ended')
      if (after.state === 'done' && after.outcome === undefined)
        tell('I6: declared edges', 'done without an outcome')
  }
}

function checkLease(
  write: Write,
  before: Record | undefined,
  granted: boolean,
  leaseMs: number,
  tell: Tell,
): void {
  const { after, method, storeTime } = write
  if (granted || method === 'renew') {
    if (Math.abs(after.leaseUntil - storeTime - leaseMs) > 0.01) {
      tell('I12: the lease is as long as asked', `${after.leaseUntil - storeTime} ms of ${leaseMs}`)
    }
  }
  if (before?.state !== 'running' || storeTime >= before.leaseUntil) return
  const early = before.leaseUntil - storeTime
  if (granted) tell('I12: no takeover before the lapse', `taken over ${early} ms early`)
  if (after.state === 'held' && method !== 'hold')
    tell('I12: no lapse before its time', `held ${early} ms early`)
}

function mayBeTakenOver(record: Record): boolean {
  return (
    record.onCrash === 'rerun' &&
    !record.steps.some((step) => step.state === 'started' && step.onCrash === 'hold')
  )
}
