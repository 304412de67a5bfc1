import { OncewardError } from '../core/errors.ts'
import { jittered } from '../core/jittered.ts'
import { countOnMs, type Reading, sinceMs } from '../core/lease-clock.ts'
import type { Alarms } from './alarms.ts'
import type { BackendCalls } from './backend-calls.ts'
import { type Extension, ExtensionBatch } from './extension.ts'
import { Grant, type GrantTerms } from './grant.ts'
import type { LockEngine } from './lock-options.ts'

/** Why a grant is lost that the backend does not extend. */
const TAKEN = 'is not held any more: the backend has given it to another, or it has lapsed there'

/** After how long a lease on a place that became the grant is extended, in ms: most work has ended before. */
const FIRST_EXTENSION_MS = 25

/** What tells how long a grant is counted on. */
type EndTerms = Pick<GrantTerms, 'ttlMs' | 'sentAt' | 'doubtMs' | 'firstMs'>

/** What a watchdog tells of. */
export interface WatchdogEnds {
  /** The grant may be lost. It is told of once. */
  lost(grant: Grant): void
  /** The backend keeps a grant that has already been given up here. */
  stray(grant: Grant): void
}

/**
 * Extends grants every third of their time, and gives them up before the backend does.
 *
 * ```
 *  sent ──▶ granted on the backend                  grant ends there
 *   │          │                                          │
 *   ├──────────┼── ttlMs − drift ──▶ own deadline         │      the deadline counts from *before* the request was
 *   │          └─────────────── ttlMs ───────────────────▶│      sent, so it always comes first
 * ```
 *
 * A place that became the grant may end when the place would have: it counts from the request for the place, and is extended
 * soon to the time that was asked for, whether or not its lease renews.
 *
 * An extension that answers moves the deadline to its own sending time. One that fails may have been carried out, or may yet
 * be: from then on the grant is trusted for no longer than that one asked for, and so it is while one is under way.
 * There is one extension of a grant at a time.
 */
export class Watchdog {
  readonly #engine: LockEngine
  readonly #alarms: Alarms
  readonly #ends: WatchdogEnds
  readonly #batch: ExtensionBatch
  readonly grants: Set<Grant> = new Set()

  constructor(engine: LockEngine, calls: BackendCalls, alarms: Alarms, ends: WatchdogEnds) {
    this.#engine = engine
    this.#alarms = alarms
    this.#ends = ends
    this.#batch = new ExtensionBatch(engine, calls, {
      sent: ({ grant, ttlMs }) => {
        if (ttlMs < trustedMs(grant)) this.#plan(grant)
      },
      answered: (extension, sentAt, kept) => this.#answered(extension, sentAt, kept),
      failed: (extension, error) => this.#failed(extension, error),
      late: (extension, sentAt, kept) => this.#late(extension, sentAt, kept),
    })
  }

  /** Whether a grant that was asked for at `sentAt` may have lapsed before it was heard of. */
  isSpent(terms: EndTerms): boolean {
    return this.#beyond(terms) <= 0
  }

  /** Takes a grant in. It is watched from the first {@link renew} on until it ends. */
  keep(terms: GrantTerms): Grant {
    const grant = new Grant(terms, (ringing) => this.#ring(ringing))
    this.grants.add(grant)
    return grant
  }

  /** Plans the next extension of a grant, which has a new lease or a new end. */
  renew(grant: Grant): void {
    const ttlMs = trustedMs(grant)
    const due = together(grant.sentAt.monotonic + ttlMs / 3, ttlMs)
    grant.renewAt =
      grant.firstMs === undefined ? due : Math.min(due, this.#engine.clock.monotonic() + FIRST_EXTENSION_MS)
    this.#plan(grant)
  }

  /** How long this process may count on a grant, in ms. Looks at the clock, and loses the grant when it is time. */
  leftMs(grant: Grant): number {
    if (grant.state !== 'held') return 0
    const left = this.#left(grant)
    if (left > 0) return left
    this.lose(grant, 'was not extended in time, so another may be given it')
    return 0
  }

  /** Extends a grant now. Answers whether it is still held; throws what the backend threw. */
  extend(grant: Grant, ttlMs: number, meta?: string): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const settle = (outcome: { readonly kept: boolean } | { readonly error: unknown }) => {
        if ('kept' in outcome) resolve(outcome.kept)
        else reject(outcome.error)
      }
      const begin = () => {
        if (this.leftMs(grant) === 0) return resolve(false)
        const { extension } = grant
        if (!extension) return this.#ask({ grant, ttlMs, meta, settle, after: undefined })
        const { after } = extension
        extension.after = () => {
          after?.()
          begin()
        }
      }
      begin()
    })
  }

  /** Gives a grant up because it may be lost. */
  lose(grant: Grant, why: string): void {
    if (grant.state !== 'held') return
    this.#drop(grant, 'lost')
    const { held, fence, lease } = grant
    const message = `the lock ${JSON.stringify(held.key)} ${why}`
    this.#engine.emit('lost', held.key, { message, ...(fence === undefined ? {} : { fence }) })
    lease?.lose(new OncewardError('LOCK_LOST', message))
    this.#ends.lost(grant)
  }

  /** Stops watching a grant because it is given back. */
  end(grant: Grant): void {
    if (grant.state === 'held') this.#drop(grant, 'released')
  }

  #drop(grant: Grant, state: 'lost' | 'released'): void {
    grant.state = state
    this.#alarms.clear(grant.alarm)
    this.grants.delete(grant)
    const { extension } = grant
    extension?.settle?.({ kept: false })
    this.#over(grant)
  }

  #beyond(terms: EndTerms): number {
    return countOnMs(trustedMs(terms), this.#engine.backend.drift) - sinceMs(this.#engine, terms.sentAt)
  }

  /** An extension under way may have been carried out already, and have set an end that is earlier. */
  #left(grant: Grant): number {
    const { ttlMs, sentAt } = grant.extension ?? {}
    const left = this.#beyond(grant)
    return ttlMs === undefined || !sentAt ? left : Math.min(left, this.#beyond({ ttlMs, sentAt }))
  }

  #plan(grant: Grant): void {
    const left = this.#left(grant)
    const now = this.#engine.clock.monotonic()
    const renews = isToRenew(grant)
    this.#alarms.set(grant.alarm, Math.min(now + left, renews ? Math.max(now, grant.renewAt) : Infinity))
  }

  #ring(grant: Grant): void {
    if (this.leftMs(grant) === 0) return
    const { lease, held, fence } = grant
    const now = this.#engine.clock.monotonic()
    if (lease && isToRenew(grant) && now >= grant.renewAt) {
      if (grant.firstMs !== undefined || lease.heldMs(now) < lease.maxHoldMs) {
        this.#ask({ grant, ttlMs: grant.ttlMs, meta: undefined, after: undefined })
      } else {
        lease.renews = false
        const message = `held for longer than maxHoldMs, ${lease.maxHoldMs} ms; it is not extended any more`
        this.#engine.emit('expired-hold', held.key, { message, ...(fence === undefined ? {} : { fence }) })
      }
    }
    this.#plan(grant)
  }

  #ask(extension: Extension): void {
    extension.grant.extension = extension
    this.#batch.add(extension)
  }

  /** Lets go on what waits for the extension under way. */
  #over(grant: Grant): void {
    const { extension } = grant
    grant.extension = undefined
    extension?.after?.()
  }

  #answered(extension: Extension, sentAt: Reading, kept: boolean): void {
    const { grant, ttlMs, meta } = extension
    if (grant.extension !== extension) {
      this.#late(extension, sentAt, kept)
      return
    }
    if (!kept) {
      this.lose(grant, TAKEN)
      return
    }
    // It may have lapsed while the answer was on its way; then it does not come back.
    if (this.leftMs(grant) === 0) {
      this.#ends.stray(grant)
      return
    }
    grant.sentAt = sentAt
    grant.ttlMs = ttlMs
    grant.firstMs = undefined
    if (meta !== undefined) grant.meta = meta
    extension.settle?.({ kept: true })
    this.#over(grant)
    this.renew(grant)
  }

  #failed(extension: Extension, error: unknown): void {
    const { grant, ttlMs } = extension
    if (grant.extension !== extension) return
    const { emit, random, clock } = this.#engine
    emit('extend-failed', grant.held.key, { error })
    grant.doubtMs = Math.min(grant.doubtMs, ttlMs)
    extension.settle?.({ error })
    this.#over(grant)
    const again = clock.monotonic() + jittered(random, Math.min(1_000, trustedMs(grant) / 10))
    grant.renewAt = together(again, trustedMs(grant))
    if (this.leftMs(grant) > 0) this.#plan(grant)
  }

  #late({ grant, ttlMs }: Extension, sentAt: Reading, kept: boolean): void {
    if (!kept) this.lose(grant, TAKEN)
    else if (grant.state === 'lost') this.#ends.stray(grant)
    else if (
      ttlMs >= trustedMs(grant) &&
      sentAt.monotonic > grant.sentAt.monotonic &&
      this.leftMs(grant) > 0
    ) {
      // Whatever was sent since asks for as long at least, and cannot have moved the end back.
      grant.sentAt = sentAt
      this.#plan(grant)
    }
  }
}

/** How long a grant is trusted to hold after what was sent last: a request in doubt may yet set an end that is earlier. */
function trustedMs({ ttlMs, doubtMs = Infinity, firstMs = Infinity }: Omit<EndTerms, 'sentAt'>): number {
  return Math.min(ttlMs, doubtMs, firstMs)
}

/** Whether the watchdog is to extend it at its time. */
function isToRenew({ lease, extension, firstMs }: Grant): boolean {
  return lease !== undefined && !extension && (lease.renews || firstMs !== undefined)
}

/** A time at most a 32nd of `ttlMs` earlier: what is due at nearly the same time is extended in one call. */
function together(at: number, ttlMs: number): number {
  const gridMs = Math.max(1, 2 ** Math.floor(Math.log2(ttlMs / 32)))
  return Math.floor(at / gridMs) * gridMs
}
