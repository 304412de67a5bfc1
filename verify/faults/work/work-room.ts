import { createPrng, type Prng } from '../../simulation/prng.ts'
import { monotonicMs } from '../harness/event-log.ts'
import { paceNow } from '../pace.ts'
import type { OpenedStore } from '../store-kinds.ts'
import type { WorkDatabase } from './work-database.ts'
import type { Asked, WorkHistory } from './work-events.ts'
import type { WorkLibrary } from './work-library.ts'
import type { WorkPlan } from './work-plan.ts'
import type { AskSink } from './work-sink.ts'

/** What a worker has in one of its lives. */
export interface WorkRoom {
  readonly plan: WorkPlan
  readonly worker: number
  readonly life: number
  readonly library: WorkLibrary
  readonly sink: AskSink
  readonly note: WorkHistory['note']
  /** What the lane of the driver has made beforehand. */
  readonly given: readonly string[]
  /** Ends the process where this life is to end here. */
  crash(point: string): void
  isOver(): boolean
  /** The part of the time of faults that is over, from 0 to 1. */
  passed(): number
  openStore(): Promise<OpenedStore>
  openMain(): Promise<WorkDatabase>
  openOther(): Promise<WorkDatabase>
}

/** What a worker does in a lane. */
export interface WorkLane {
  /** Begins; resolves when all callers have ended, which they do once it is over. */
  go(): Promise<void>
  /** After the heal: asks once more where every question has to be answered. */
  probe(): Promise<void>
  close(): Promise<void>
}

/** A source of chance for one caller. */
export function chances({ plan, worker, life }: WorkRoom, nth: number): Prng {
  return createPrng(((plan.seed * 31 + worker) * 31 + life) * 31 + nth)
}

/** An answer to a call, as the history has it. */
export interface Answer {
  readonly outcome: string
  readonly value?: string
  readonly id?: string
}

/** Makes one call and notes what came of it; what failed is answered as that, with its code. */
export async function ask(
  { note, library }: WorkRoom,
  call: string,
  about: Asked & { readonly probe?: boolean },
  make: () => Promise<Answer>,
): Promise<Answer> {
  note({ k: 'asked', call, ...about })
  try {
    const answer = await make()
    note({ k: 'answered', call, ...answer })
    return answer
  } catch (error) {
    const known = library.isOncewardError(error)
    note({
      k: 'failed',
      call,
      message: String(error).slice(0, 300),
      ...(known ? { code: error.code, effect: error.effect } : {}),
      ...(error instanceof Own ? { own: true } : {}),
    })
    return { outcome: 'failed', ...(known ? { value: error.code } : {}) }
  }
}

/** What work throws of its own accord. */
export class Own extends Error {}

/** Waits. */
export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

/** How long a question after the heal may go without its answer: three leases, and the more time for the machine the busier it is. */
export function probeMs({ leaseMs }: WorkPlan): number {
  return leaseMs * 3 + 5_000 * paceNow()
}

/** Repeats until it answers true; answers whether it did in time. */
export async function within(ms: number, isSo: () => Promise<boolean>): Promise<boolean> {
  const until = monotonicMs() + ms
  for (;;) {
    if (await isSo().catch(() => false)) return true
    if (monotonicMs() > until) return false
    await sleep(50)
  }
}

/** Hands on an answer: at once where it is there at once. */
export function settled<T>(answer: T | Promise<T>, then: (value: T) => void): void | Promise<void> {
  return answer instanceof Promise ? answer.then(then) : then(answer)
}
