import { OncewardError } from '../core/errors.ts'
import type { OnCrash } from './cron-types.ts'

/** What the backend remembers of a name: the last tick that was begun, and how it ended. */
export interface TickMark {
  readonly tick: number
  readonly attempt: number
  readonly state: TickState
}

/** `again` is a held tick that somebody has decided to repeat. */
export type TickState = 'started' | 'done' | 'failed' | 'skipped' | 'held' | 'again'

const STATES: readonly string[] = [
  'started',
  'done',
  'failed',
  'skipped',
  'held',
  'again',
] satisfies TickState[]

/** How long a mark is kept, in ms: a job that runs once a year finds its last one. */
export const MARK_KEPT_MS: number = 400 * 86_400_000

/** The key of the lock of a name, which keeps the mark. */
export function tickKey(name: string): string {
  return `cron:${name}`
}

/** Writes a mark as text. */
export function writeMark({ tick, attempt, state }: TickMark): string {
  return `1 ${state} ${tick} ${attempt}`
}

/** Reads a mark. @throws `RECORD_CORRUPT` for what this version has not written. */
export function readMark(name: string, text: string | undefined): TickMark | undefined {
  if (text === undefined) return undefined
  const [version, state = '', tick, attempt, ...rest] = text.split(' ')
  const mark = { tick: Number(tick), attempt: Number(attempt), state: state as TickState }
  const known = version === '1' && STATES.includes(state) && rest.length === 0
  if (known && Number.isSafeInteger(mark.tick) && Number.isSafeInteger(mark.attempt)) return mark
  throw new OncewardError(
    'RECORD_CORRUPT',
    `what is remembered of the ticks of "${name}" was not written by this version; upgrade this program, or use another name`,
    { effect: 'none' },
  )
}

/** What is to be done by whoever has the lock. */
export type TickPlan =
  | { readonly do: 'run'; readonly tick: number; readonly attempt: number; readonly crashed?: TickMark }
  | { readonly do: 'settle'; readonly mark: TickMark; readonly crashed?: TickMark }
  | { readonly do: 'nothing'; readonly held?: number }

/**
 * Decides, under the lock, what comes first. A tick that is not later than the marked one never runs, so it does not matter
 * whose clock is ahead. A mark that still says `started` while the lock is free is a crash: its holder would have it.
 *
 * @param tick - The tick that is due; nothing where somebody only looks after a crash.
 */
export function planTick(
  mark: TickMark | undefined,
  tick: number | undefined,
  policy: { readonly onCrash: OnCrash; readonly maxAttempts: number },
): TickPlan {
  if (mark?.state === 'held') return { do: 'nothing', held: mark.tick }
  if (mark?.state === 'again') return { do: 'run', tick: mark.tick, attempt: mark.attempt + 1 }
  if (mark?.state === 'started') {
    if (policy.onCrash === 'hold') return { do: 'settle', mark: { ...mark, state: 'held' }, crashed: mark }
    if (policy.onCrash === 'retry' && mark.attempt < policy.maxAttempts)
      return { do: 'run', tick: mark.tick, attempt: mark.attempt + 1, crashed: mark }
    if (tick === undefined || tick <= mark.tick)
      return { do: 'settle', mark: { ...mark, state: 'skipped' }, crashed: mark }
    return { do: 'run', tick, attempt: 1, crashed: mark }
  }
  return tick === undefined || (mark && tick <= mark.tick)
    ? { do: 'nothing' }
    : { do: 'run', tick, attempt: 1 }
}
