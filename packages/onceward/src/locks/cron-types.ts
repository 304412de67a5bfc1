import type { Lease } from './lock-types.ts'

/** Tells when something is due. A `Cron` of croner wrapped in three words is one: `{ next: (after) => cron.nextRun(after) }`. */
export interface Schedule {
  /** The first time strictly after `after`; `null` when there is none any more. */
  next(after: Date): Date | null
}

/** What becomes of a tick whose run was begun and never seen to end. */
export type OnCrash =
  /** It counts as run. The next tick runs as usual. */
  | 'skip'
  /** It runs again, with the next `attempt`, before any later tick. */
  | 'retry'
  /** Nothing of this name runs any more until somebody has called `resolveTick`. */
  | 'hold'

/** How one tick is run. */
export interface TickOptions {
  /**
   * The longest a run may take, in ms. The lock is extended for as long; then `run.signal` aborts, and the tick counts as
   * crashed if its end is not heard of. It may abort earlier by up to a third of `ttlMs`.
   */
  readonly atMostMs: number
  /** Keeps other instances from running anything of this name for so long after a run began, in ms. Default 0. */
  readonly atLeastMs?: number
  /** How soon a crash is noticed, in ms. Default half of `atMostMs`, at most 30,000. */
  readonly ttlMs?: number
  /** Default `skip`. */
  readonly onCrash?: OnCrash
  /** `retry` only: how many times one tick is begun. After the last crash it counts as run. Default 3. */
  readonly maxAttempts?: number
}

/** Runs one tick that some other scheduler has fired. */
export interface SingleTick extends TickOptions {
  /** The time the run was scheduled for: not when it happened to be fired, which differs between instances. In ms, or a `Date`. */
  readonly tick: number | Date
}

/** Runs every tick of a schedule. */
export interface CronOptions extends TickOptions {
  /** A cron expression, read by the package `croner`, or anything that tells the next time. */
  readonly schedule: string | Schedule
  /** Of a cron expression, such as `Europe/Berlin`. Default that of the machine: better name it, instances may differ. */
  readonly timezone?: string
  /** Reads cron expressions instead of croner. */
  readonly parser?: (expression: string, timezone: string | undefined) => Schedule
  /**
   * What becomes of ticks that no instance has begun within `graceMs`, because all were down or busy: `skip` drops them,
   * `latest` runs the newest, `all` runs each, oldest first, at most `maxMissed` (the newest ones). Default `skip`.
   */
  readonly missed?: 'skip' | 'latest' | 'all'
  /** For `all`. Default 100. */
  readonly maxMissed?: number
  /** How late a tick may begin and does not count as missed, in ms. Default 60,000. */
  readonly graceMs?: number
  /** Is told what `fn` has thrown. It must not throw; what it throws is dropped. The observer is told too. */
  readonly onError?: (error: unknown, run: TickRun) => void
  /** Stops the job when it aborts, as `stop` does. */
  readonly signal?: AbortSignal
}

/** One run of one tick. */
export interface TickRun<Fence extends number | undefined = number | undefined> {
  readonly name: string
  /** The scheduled time, in ms since the epoch: the same on every instance and in every attempt. A good idempotency key. */
  readonly tick: number
  /** 1, and more after crashes. */
  readonly attempt: number
  /** For resources that refuse smaller ones. */
  readonly fence: Fence
  /** Aborts with `LOCK_LOST` when the lock may be lost or the time is up. Another instance may go on from then. */
  readonly signal: AbortSignal
  readonly lease: Lease<Fence>
}

/** What became of a tick, seen from this instance. */
export type TickOutcome<T> =
  /** It ran here, and its end is recorded. */
  | { readonly outcome: 'ran'; readonly tick: number; readonly attempt: number; readonly value: T }
  /** This tick, or a later one, had its run before. */
  | { readonly outcome: 'already'; readonly tick: number }
  /** Another instance is at it, or `atLeastMs` is not over. */
  | { readonly outcome: 'busy'; readonly tick: number; readonly retryAfterMs: number }
  /** The run of `held` was cut off, and `onCrash` is `hold`: call `resolveTick`. */
  | { readonly outcome: 'held'; readonly tick: number; readonly held: number }
  /** It ran here, and the lock was lost before its end could be recorded: for the others it looks like a crash. */
  | { readonly outcome: 'lost'; readonly tick: number; readonly attempt: number; readonly value: T }
  /** The clock here is so far ahead of the backend's that this cannot be the time of a tick. */
  | { readonly outcome: 'refused'; readonly tick: number }

/** A schedule that is being followed. */
export interface CronJob<T = unknown> extends AsyncDisposable {
  readonly name: string
  /** The next scheduled time; `null` when there is none, or the job is stopped. */
  next(): Date | null
  /**
   * Runs a tick now, by the same rules, after whatever runs here already: awaited inside the work of this job it never
   * resolves.
   *
   * @throws What `fn` throws; `CLOSED` once the job is stopped; `STORE_UNAVAILABLE`.
   */
  trigger(tick: number | Date): Promise<TickOutcome<T>>
  /** Begins nothing more, and resolves when what runs has ended: not to be awaited inside the work. Idempotent. */
  stop(): Promise<void>
}

/** A decision about a held tick. */
export interface TickDecision {
  /** `done`: it counts as run. `retry`: it runs again at the next occasion, before any later tick. */
  readonly as: 'done' | 'retry'
  /** At most 1 KiB. */
  readonly reason: string
  /** Default the owner of the locks. */
  readonly by?: string
}

/** Work that one of N instances does at a time that was fixed before. */
export interface CronMethods<Fence extends number | undefined = number | undefined> {
  /**
   * Runs `fn` at each tick of a schedule on one of all instances that follow it under this name: at most once for a tick,
   * however much their clocks differ, because the backend remembers the last tick that was begun.
   *
   * Limit: `onCrash` decides between "at most once" (`skip`, `hold`) and "again after a crash" (`retry`). A run that is
   * paused past its lock can overlap with the next: give `run.fence` to what it writes to. What is remembered is as durable
   * as the backend.
   *
   * @throws `TypeError` for options that make no sense, an expression that cannot be read, a missing `croner`, and on a
   * backend that keeps no marks.
   * @example
   * const job = locks.cron('nightly', { schedule: '0 3 * * *', timezone: 'Europe/Berlin', atMostMs: 600_000 }, async ({ signal }) => {
   *   await report({ signal })
   * })
   */
  cron<T>(name: string, options: CronOptions, fn: (run: TickRun<Fence>) => T | Promise<T>): CronJob<T>
  /**
   * Runs one tick that another scheduler has fired. Throws what `fn` throws; a tick whose `fn` threw counts as run.
   *
   * @throws `STORE_UNAVAILABLE` (effect `none`) when the backend failed before `fn` was begun.
   */
  cron<T>(
    name: string,
    options: SingleTick,
    fn: (run: TickRun<Fence>) => T | Promise<T>,
  ): Promise<TickOutcome<T>>
  /** Decides a held tick; answers it, or nothing when none is held. Waits for whoever holds the lock of this name. */
  resolveTick(name: string, decision: TickDecision): Promise<number | undefined>
}
