import type { AbortWatch } from '../core/patience.ts'
import type { Alarms } from './alarms.ts'
import type { BackendCalls } from './backend-calls.ts'
import type { HeldLock } from './lock-backend.ts'
import type { LockEngine } from './lock-options.ts'
import type { Sweeper } from './sweeper.ts'

/** What those who wait for locks share. */
export interface LockParts {
  readonly engine: LockEngine
  readonly calls: BackendCalls
  /** Alarms that somebody waits for: they keep the process alive. */
  readonly waits: Alarms
  readonly sweeper: Sweeper
  readonly aborts: AbortWatch
  /** Takes a token that may have been granted something nobody knows of. */
  strayToken(held: HeldLock): void
}
