import type { Floors } from '../harness/statistics.ts'
import type { LaneName } from './work-plan.ts'

/** What a trial of each lane must have seen one of to count. */
const MEETINGS: Readonly<Record<LaneName, readonly string[]>> = {
  tokens: ['never heard of again', 'effect unknown', 'held'],
  tasks: ['never heard of again', 'effect unknown', 'lapsed', 'stale acks'],
  messages: ['never heard of again', 'effect unknown', 'redeliveries'],
  dedupe: ['never heard of again', 'effect unknown'],
  guards: ['never heard of again', 'effect unknown'],
}

/** What every campaign of a lane must have seen: without it, nothing was shown. */
const FLOORS: Readonly<Record<LaneName, readonly string[]>> = {
  tokens: [
    'killed',
    'never heard of again',
    'refused',
    'consumed',
    'executed',
    'replayed',
    'held',
    'tried again',
  ],
  tasks: [
    'killed',
    'never heard of again',
    'effects',
    'lapsed',
    'stale acks',
    'existing',
    'rolledBack',
    'in the end done',
  ],
  messages: [
    'killed',
    'commits in doubt',
    'rolled back',
    'redeliveries',
    'pairs in order',
    'duplicates at the inbox',
    'handlers that failed',
  ],
  dedupe: [
    'killed',
    'never heard of again',
    'first',
    'suppressed',
    'asked again and first',
    'after a forget',
    'after the window',
  ],
  guards: [
    'killed',
    'never heard of again',
    'rolled back',
    'moved',
    'stale',
    'updated',
    'stale versions',
    'done',
    'sold out',
    'inserted',
    'existing',
  ],
}

/** What a campaign of a lane must have seen to mean anything. */
export function workFloors(lane: LaneName): Floors {
  return {
    meetings: MEETINGS[lane],
    meeting: 'what they are for',
    below({ seen }) {
      const missing = FLOORS[lane].filter((name) => (seen[name] ?? 0) === 0)
      const findings = missing.map((name) => `no trial saw any: ${name}`)
      const { calls = 0, answered = 0 } = seen
      if (answered * 2 < calls) findings.push(`only ${answered} of ${calls} calls were answered`)
      return findings
    },
  }
}
