import type { Verdict, Violation } from '../harness/statistics.ts'
import { type Blame, type CallStory, callsOf, type Seen } from './call-stories.ts'
import { checkDedupe } from './check-dedupe.ts'
import { checkGuards } from './check-guards.ts'
import { checkMessages } from './check-messages.ts'
import { checkTasks } from './check-tasks.ts'
import { checkTokens } from './check-tokens.ts'
import type { WorkEvent } from './work-events.ts'
import type { LaneName } from './work-plan.ts'

const CHECKS: Readonly<
  Record<LaneName, (history: readonly WorkEvent[], calls: readonly CallStory[], blame: Blame) => Seen>
> = {
  tokens: checkTokens,
  tasks: checkTasks,
  messages: checkMessages,
  dedupe: checkDedupe,
  guards: checkGuards,
}

/** Codes that the library may answer a call with, whatever befalls it. */
const KNOWN = [
  'STORE_UNAVAILABLE',
  'OPERATION_HELD',
  'OUTCOME_NOT_STORED',
  'CLAIM_LOST',
  'IN_PROGRESS',
  'TOKEN_REFUSED',
  'OPERATION_FAILED',
  'ABORTED',
  'CLOSED',
]

/** Judges a history. It shares no code with the library, and knows of its promises only. */
export function checkWork(
  lane: LaneName,
  history: readonly WorkEvent[],
  troubles: readonly Violation[] = [],
): Verdict {
  const violations: Violation[] = [...troubles]
  const blame: Blame = (rule, message) => violations.push({ rule, message })
  const calls = callsOf(history)
  const common = {
    calls: calls.length,
    answered: calls.filter(({ answered }) => answered).length,
    'never heard of again': calls.filter(({ answered, failed }) => !answered && !failed).length,
    'effect unknown': calls.filter(({ failed }) => failed && failed.effect !== 'none' && !failed.own).length,
    killed: history.filter((event) => event.k === 'crash' || (event.k === 'fault' && event.kind === 'kill'))
      .length,
  }
  for (const event of history) if (event.k === 'unsettled') blame('I11', `${event.what} did not come to rest`)
  for (const { asked, failed } of calls) {
    if (failed && /^(?:Type|Reference|Range)Error/.test(failed.message))
      blame('errors', `${asked.call} failed with ${failed.message}`)
    if (failed?.code !== undefined && !KNOWN.includes(failed.code))
      blame('errors', `${asked.call} failed with ${failed.code}: ${failed.message}`)
  }
  const seen = CHECKS[lane](history, calls, blame)
  const rests = history.flatMap((event) => (event.k === 'settled' ? [event.ms] : []))
  return { violations, slowestMs: Math.max(0, ...rests), seen: { ...common, ...seen } }
}
