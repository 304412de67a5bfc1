import type { Reading } from '../core/lease-clock.ts'
import { Alarm } from './alarms.ts'
import type { Extension } from './extension.ts'
import type { HeldLease } from './lease.ts'
import type { HeldLock, LockMode } from './lock-backend.ts'

/** What a {@link Grant} begins with. */
export interface GrantTerms {
  readonly held: HeldLock
  readonly mode: LockMode
  readonly fence: number | undefined
  /** The least fence by which the backend knows it, if that is not its fence. */
  readonly firstFence?: number | undefined
  readonly mark: string | undefined
  readonly ttlMs: number
  readonly meta: string | undefined
  /** Before the request was sent. */
  readonly sentAt: Reading
  /** How often it may be handed over inside this process. */
  readonly handovers: number
  /** The shortest time that a request asked for of which nobody knows what became. Absent: there is none. */
  readonly doubtMs?: number
  /** For how long the backend keeps it until it is extended for the first time. Absent: for `ttlMs`. */
  readonly firstMs?: number | undefined
}

/**
 * What the backend has granted. One grant carries one lease after the other when it is handed over inside this process.
 * Its fields are the {@link Watchdog}'s and the {@link LocalQueues}' to change.
 */
export class Grant {
  readonly held: HeldLock
  readonly mode: LockMode
  readonly mark: string | undefined
  readonly firstFence: number | undefined
  /** Of the lease that it carries now. */
  fence: number | undefined
  ttlMs: number
  meta: string | undefined
  /** Before the request was sent that its end counts from. */
  sentAt: Reading
  handovers: number
  /** The shortest time that a request asked for which may still be carried out. */
  doubtMs: number
  /** For how long it holds until it is extended, where that is not `ttlMs`. */
  firstMs: number | undefined
  state: 'held' | 'lost' | 'released' = 'held'
  /** Whether its token was shown to the user: whoever has it now must not be given the leases of others. */
  shown: boolean = false
  /** Absent while it is between two leases. */
  lease: HeldLease | undefined
  /** When to extend it, on the monotonic clock. */
  renewAt: number = Infinity
  /** What is asked for it just now. */
  extension: Extension | undefined
  readonly alarm: Alarm

  constructor(terms: GrantTerms, ring: (grant: Grant) => void) {
    this.held = terms.held
    this.mode = terms.mode
    this.mark = terms.mark
    this.firstFence = terms.firstFence ?? terms.fence
    this.fence = terms.fence
    this.ttlMs = terms.ttlMs
    this.meta = terms.meta
    this.sentAt = terms.sentAt
    this.handovers = terms.handovers
    this.doubtMs = terms.doubtMs ?? Infinity
    this.firstMs = terms.firstMs
    this.alarm = new Alarm(() => ring(this))
  }
}
