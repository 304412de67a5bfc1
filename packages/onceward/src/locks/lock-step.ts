import type { ExtendRequest } from './lock-backend.ts'
import type { LockRecord } from './lock-record.ts'
import { extend, type Step, type Turn } from './lock-transitions.ts'

/** One step to decide on the lock of a key, by a backend that runs the rules under a lock of its own. */
export interface LockStep<Reply = unknown> {
  readonly key: string
  /** @param now - The backend's clock in ms, read under that lock. */
  readonly decide: (found: LockRecord | undefined, now: number) => Step<Reply>
}

/** What steps have decided. */
export interface DecidedSteps {
  /** In the order of the steps. */
  readonly replies: readonly unknown[]
  /** Who is to be told. */
  readonly wake: readonly Turn[]
}

/** The step that moves the end of one grant. */
export function extensionStep(request: ExtendRequest): LockStep<boolean> {
  return { key: request.key, decide: (found, now) => extend(found, request, now) }
}
