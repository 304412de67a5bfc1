import { FORGETTING } from '../harness/fault-kinds.ts'
import type { Violation } from '../harness/statistics.ts'
import type { Belief, LockEvent, LockEventOf } from './lock-events.ts'

/** What a history shows. */
export interface LockVerdict {
  readonly violations: readonly Violation[]
  readonly takeovers: number
  readonly twoHolders: number
  readonly slowestMs: number
}

/** One grant, and all that is known of it. */
interface Held {
  readonly call: string
  readonly key: string
  readonly fence: number
  readonly askedAt: number
  readonly gotAt: number
  readonly beliefs: (Belief & { readonly t: number })[]
  leavingAt: number
  lostAt: number
}

/** What an acquisition may fail with. */
const EXPECTED = ['LOCK_TIMEOUT', 'STORE_UNAVAILABLE', 'LOCK_LOST', 'CLOSED']

/** Two readings of the machine's clock by two processes may be rounded apart. In ms. */
const ROUNDING_MS = 1

/**
 * Judges a history of locks. It knows the clock of the machine and what processes were told, and nothing of how locks work.
 *
 * - `exclusion`: nobody is told that it may count on a lock while another one counts on it.
 * - `promise`: nobody else is granted a lock for as long as its holder was told that it may count on it.
 * - `I5`: a grant that was asked for after another one has a greater fence.
 * - `I8`: no update of the fenced resource is lost.
 * - `I11`: after the heal every call ends, and every lock is granted.
 * - `errors`, `using`, `residue`, `alive`: what an acquisition fails with; what `using` answers; what is left behind; that
 *   no process dies of it. `trial` is what hindered the trial itself.
 */
export function checkLocks(history: readonly LockEvent[], troubles: readonly Violation[] = []): LockVerdict {
  const violations: Violation[] = [...troubles]
  const say = (rule: string, message: string) => violations.push({ rule, message })
  const forgets = history.some((event) => event.k === 'fault' && FORGETTING.includes(event.kind))
  const held = heldOf(history)
  const overlaps = [...overlapsOf(held)]
  if (!forgets) for (const { rule, message } of overlaps) say(rule, message)
  for (const message of fenceProblems(held)) say('I5', message)
  for (const event of history) {
    if (event.k === 'sunk' && event.op === 'write' && event.accepted && event.value !== event.before + 1) {
      say(
        'I8',
        `${event.call} wrote ${event.value} over ${event.before} with fence ${event.fence}: an update was lost`,
      )
    } else if (event.k === 'unsettled') {
      say('I11', `worker ${event.worker} still waits: ${event.calls.join(', ')}`)
    } else if (event.k === 'masked') say('using', `${event.call} was told ${event.message}`)
    else if (event.k === 'residue') {
      say(
        'residue',
        `${event.holders} hold and ${event.waiting} wait for ${event.key} though everybody has gone`,
      )
    } else if (event.k === 'none') {
      const problem = failureProblem(event)
      if (problem) say(...problem)
    }
  }
  return {
    violations,
    takeovers: takeoversOf(held),
    twoHolders: forgets ? overlaps.length : 0,
    slowestMs: slowestProbe(history),
  }
}

function heldOf(history: readonly LockEvent[]): readonly Held[] {
  const asked = new Map<string, number>()
  const held = new Map<string, Held>()
  for (const event of history) {
    if (event.k === 'asked') asked.set(event.call, event.t)
    else if (event.k === 'got') {
      const { call, key, fence, t, from, until } = event
      // A process that was stopped between the grant and this line has been told that nothing is left of it.
      const beliefs = until > from ? [{ from, until, t }] : []
      const askedAt = asked.get(call) ?? t
      held.set(call, { call, key, fence, askedAt, gotAt: t, beliefs, leavingAt: Infinity, lostAt: Infinity })
    } else if (event.k === 'holds') held.get(event.call)?.beliefs.push(event)
    else if (event.k === 'leaving' || event.k === 'lost') {
      const one = held.get(event.call)
      if (one && event.k === 'leaving') one.leavingAt = Math.min(one.leavingAt, event.t)
      else if (one) one.lostAt = Math.min(one.lostAt, event.t)
    }
  }
  return [...held.values()].sort((a, b) => a.gotAt - b.gotAt)
}

function* overlapsOf(held: readonly Held[]): Generator<Violation> {
  for (const one of held) {
    const lastBelief = one.beliefs.at(-1)?.t ?? one.gotAt
    const lastPromise = Math.max(one.gotAt, ...one.beliefs.map(({ until }) => until))
    for (const other of held) {
      if (other.call === one.call || other.key !== one.key) continue
      if (other.gotAt > Math.max(lastBelief, lastPromise) || other.askedAt < one.askedAt - LONGEST_MS)
        continue
      yield* overlap(one, other)
    }
  }
}

/** Grants further apart than this cannot meet: no lease and no wait of a trial is that long. In ms. */
const LONGEST_MS = 120_000

function* overlap(one: Held, other: Held): Generator<Violation> {
  // It held the lock in between when it counted on it before and still did afterwards.
  const lastLook = Math.max(...other.beliefs.map(({ from }) => from))
  const otherEnds = Math.min(other.leavingAt, other.lostAt, lastLook)
  const both = one.beliefs.find(({ from, t }) => from > other.gotAt && t < otherEnds)
  if (both) {
    const message = `${one.call} (fence ${one.fence}) counted on ${one.key} at ${ms(both.from)} while ${other.call} (fence ${other.fence}) held it since ${ms(other.gotAt)}`
    yield { rule: 'exclusion', message }
  }
  // Whoever was granted before, and tells it late, had it by right.
  if (other.fence < one.fence || other.gotAt >= Math.min(one.leavingAt, one.lostAt)) return
  const broken = one.beliefs.find(({ t, until }) => t < other.gotAt && other.gotAt < until - ROUNDING_MS)
  if (broken) {
    const message = `${other.call} was granted ${one.key} at ${ms(other.gotAt)}, which ${one.call} had been told it holds until ${ms(broken.until)}`
    yield { rule: 'promise', message }
  }
}

function* fenceProblems(held: readonly Held[]): Generator<string> {
  const seen = new Map<string, Held>()
  // The greatest fence among the grants that were told before a moment.
  const greatest = new Map<string, Held>()
  const byAsking = [...held].sort((a, b) => a.askedAt - b.askedAt)
  let told = 0
  for (const one of byAsking) {
    for (let next = held[told]; next && next.gotAt < one.askedAt; next = held[++told]) {
      if ((greatest.get(next.key)?.fence ?? 0) < next.fence) greatest.set(next.key, next)
    }
    const before = greatest.get(one.key)
    if (before && before.fence >= one.fence) {
      yield `${one.call} asked for ${one.key} after ${before.call} had fence ${before.fence}, and got ${one.fence}`
    }
    const name = `${one.key} ${one.fence}`
    const twin = seen.get(name)
    if (twin) yield `${one.call} and ${twin.call} both have fence ${one.fence} of ${one.key}`
    seen.set(name, one)
  }
}

function failureProblem({
  call,
  probe,
  code,
  effect,
  message,
}: LockEventOf<'none'>): [string, string] | undefined {
  if (probe) return ['I11', `${call} was not served after the heal: ${message ?? 'held by another'}`]
  if (message === undefined) return undefined
  if (code === undefined || !EXPECTED.includes(code)) return ['errors', `${call} failed with ${message}`]
  if (effect !== 'none') return ['errors', `${call} failed with ${code} and effect ${effect}: ${message}`]
  return undefined
}

/** Grants of a lock whose holder before had not given it back. */
function takeoversOf(held: readonly Held[]): number {
  let takeovers = 0
  const last = new Map<string, Held>()
  for (const one of [...held].sort((a, b) => a.fence - b.fence)) {
    const before = last.get(one.key)
    if (before && before.leavingAt > one.gotAt) takeovers++
    last.set(one.key, one)
  }
  return takeovers
}

function slowestProbe(history: readonly LockEvent[]): number {
  const asked = new Map<string, number>()
  let slowest = 0
  for (const event of history) {
    if (event.k === 'asked' && event.probe) asked.set(event.call, event.t)
    else if (event.k === 'got') slowest = Math.max(slowest, event.t - (asked.get(event.call) ?? event.t))
  }
  return slowest
}

function ms(at: number): string {
  return `${Math.round(at * 10) / 10} ms`
}
