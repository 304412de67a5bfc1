import { fileURLToPath } from 'node:url'
import { type Floors, MANY_TRIALS, type Statistics, tallyOf, type Verdict } from '../harness/statistics.ts'
import type { Ground, TrialKind } from '../harness/trial-kind.ts'
import { checkLocks } from './check-locks.ts'
import type { LockEvent } from './lock-events.ts'
import { type LockPlan, makeLockPlan } from './lock-plan.ts'
import type { LockSink } from './lock-sink.ts'
import type { LockStage } from './lock-stages.ts'

/** What the workers run. */
export const LOCK_WORKER: string = fileURLToPath(new URL('run-lock-worker.js', import.meta.url))

/** What a campaign of locks must have seen to mean anything. */
export const LOCK_FLOORS: Floors = {
  meetings: ['takeovers', 'lost', 'stale'],
  meeting: 'a takeover, a lost lease or a stale write',
  below({ trials, seen }: Statistics) {
    // A short run on a busy machine sees little; it only has to see something.
    const least = trials < MANY_TRIALS ? 1 : 10
    return ['grants', 'writes'].flatMap((name) => {
      const count = seen[name] ?? 0
      return count < trials * least ? [`only ${count} ${name} in ${trials} trials`] : []
    })
  },
}

/** What trials of locks are made of. */
export interface LockTrials {
  readonly stage: LockStage
  readonly plan: LockPlan
  readonly event: LockEvent
  readonly sink: LockSink
  readonly verdict: Verdict
  readonly statistics: Statistics
}

/** Locks, as they are tried. */
export const LOCKS: TrialKind<LockTrials> = {
  makePlan: (seed, { minLeaseMs }, setting) => makeLockPlan(seed, { ...setting, minLeaseMs }),
  look: lookBehind,
  judge({ history, troubles }) {
    const { violations, slowestMs, takeovers, twoHolders } = checkLocks(history, troubles)
    return { violations, slowestMs, seen: { ...countsOf(history), takeovers, twoHolders } }
  },
  tally: tallyOf(LOCK_FLOORS),
  hindrances: ['trial'],
}

function countsOf(history: readonly LockEvent[]): Verdict['seen'] {
  const seen = { calls: 0, grants: 0, timeouts: 0, failures: 0, lost: 0, stale: 0, writes: 0 }
  for (const event of history) {
    if (event.k === 'asked') seen.calls++
    else if (event.k === 'got') seen.grants++
    else if (event.k === 'lost') seen.lost++
    else if (event.k === 'none' && event.code === 'LOCK_TIMEOUT') seen.timeouts++
    else if (event.k === 'none' && event.code !== undefined) seen.failures++
    else if (event.k === 'sunk' && !event.accepted) seen.stale++
    else if (event.k === 'sunk' && event.op === 'write') seen.writes++
  }
  return seen
}

/** For how long the place of a process that died is kept, in ms, and time for the look itself. */
const PLACE_MS = 8_000

/** Waits until nobody holds or waits any more: whoever died is forgotten by then, and whoever went has left nothing. */
async function lookBehind({ stage, plan: { keys, leaseMs }, log }: Ground<LockTrials>): Promise<void> {
  const { backend, end } = await stage.look()
  try {
    const until = performance.now() + PLACE_MS + leaseMs + stage.slackMs
    for (const key of keys) {
      for (;;) {
        const view = await backend.inspect(key)
        const holders = view?.holders.length ?? 0
        const waiting = view?.waiting ?? 0
        if (holders + waiting === 0) break
        if (performance.now() > until) {
          log.note({ k: 'residue', key, holders, waiting })
          break
        }
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
    }
  } finally {
    await backend.close()
    await end()
  }
}
