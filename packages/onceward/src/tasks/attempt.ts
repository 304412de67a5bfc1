import type { Clock, Random } from '../core/clock.ts'
import { OncewardError } from '../core/errors.ts'
import type { Reading } from '../core/lease-clock.ts'
import { failureOf } from '../core/outcomes.ts'
import { valueCodec } from '../core/value-codec.ts'
import { verdictOn } from '../core/verdict.ts'
import { retryDelayMs } from './task-ledger.ts'
import { type TaskRecord, viewOf } from './task-record.ts'
import type { Ending } from './task-transitions.ts'
import type { TaskHandler, TaskRun } from './worker-types.ts'

/** One attempt of a task, from the claim to the answer to its end. */
export class Attempt {
  readonly record: TaskRecord
  /** Until when it may be counted on is counted from before this was asked for. */
  granted: Reading
  /** Whether its end has been sent to the database. */
  isEnding = false
  /** When it was given, to tell the time of the database from. */
  readonly #since: Reading
  #controller: AbortController | undefined
  #reason: OncewardError | undefined
  #isLost = false

  constructor(record: TaskRecord, sentAt: Reading) {
    this.record = record
    this.granted = sentAt
    this.#since = sentAt
  }

  get isLost(): boolean {
    return this.#isLost
  }

  /** Why its handler is to end, if it is. */
  get reason(): OncewardError | undefined {
    return this.#reason
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController()
    if (this.#reason) this.#controller.abort(this.#reason)
    return this.#controller.signal
  }

  /** Another worker may be given the task: told once. */
  lose(message: string): boolean {
    if (this.#isLost) return false
    this.#isLost = true
    this.#abort(new OncewardError('CLAIM_LOST', message))
    return true
  }

  /** Somebody wants it to end. */
  stop(message: string): void {
    // Work that lets this through has said nothing of its effect.
    this.#abort(new OncewardError('ABORTED', message, { effect: 'unknown' }))
  }

  /** The time on the clock of the database, within the drift of a lease. */
  now(clock: Clock): number {
    return this.record.changedAt + Math.floor(Math.max(0, clock.monotonic() - this.#since.monotonic))
  }

  #abort(reason: OncewardError): void {
    if (this.#reason && !this.#isLost) return
    this.#reason = reason
    this.#controller?.abort(reason)
  }
}

/** Runs a handler and tells how it ended. It never rejects. */
export async function endingOf(
  { record }: Attempt,
  handler: TaskHandler,
  run: TaskRun,
  { maxResultBytes, random }: { readonly maxResultBytes: number; readonly random: Random },
): Promise<Ending> {
  let value: unknown
  try {
    const task = viewOf(record)
    value = await handler(task, run)
  } catch (error) {
    return thrown(record, error, random)
  }
  return returned(value, maxResultBytes)
}

function thrown(record: TaskRecord, error: unknown, random: Random): Ending {
  const verdict = verdictOn(error)
  if (verdict?.kind === 'final') return { kind: 'failed', failure: failureOf(error, verdict.effect) }
  const failure = failureOf(error, verdict?.kind === 'no-effect' ? 'none' : 'unknown')
  if (failure.effect === 'unknown' && record.policy.onError === 'hold') return { kind: 'hold', failure }
  return { kind: 'thrown', failure, delayMs: retryDelayMs(record.policy.backoff, record.attempt, random) }
}

/** The effect has happened: a value that cannot be kept is no failure. */
function returned(value: unknown, maxBytes: number): Ending {
  try {
    const bytes = valueCodec.encode(value)
    if (bytes.byteLength <= maxBytes) return { kind: 'done', result: Buffer.from(bytes).toString() }
    return {
      kind: 'not-replayable',
      reason: `its value has ${bytes.byteLength} bytes, the most that is stored is ${maxBytes}`,
    }
  } catch (error) {
    return { kind: 'not-replayable', reason: failureOf(error, 'done').message }
  }
}
