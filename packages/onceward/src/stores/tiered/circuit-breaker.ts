import { answerWithin, StoreTimeout } from '../../core/answer-within.ts'
import type { Clock, Timers } from '../../core/clock.ts'

/** How a breaker decides. */
export interface BreakerSettings {
  readonly clock: Clock
  readonly timers: Timers
  /** How long one call may take, in ms. */
  readonly timeoutMs: number
  /** So many failures in a row open it. */
  readonly openAfter: number
  /** How long it stays open before one probe, in ms. */
  readonly retryAfterMs: number
  /** A call that shows whether the other side is back. */
  readonly probe: () => Promise<unknown>
  /** Is told of each opening, with its reason, and of each closing. */
  readonly onChange: (state: 'open' | 'closed', lastError?: string) => void
}

/** What a breaker looks like from outside. */
export interface BreakerState {
  /** `closed`: in use. `open`: not called. `half-open`: one probe is under way. */
  readonly state: 'closed' | 'open' | 'half-open'
  /** Since when, in ms since the epoch. */
  readonly since: number
  /** Failures in a row. */
  readonly failures: number
  /** How often it has opened. */
  readonly opened: number
  /** Calls that were not made because it was open. */
  readonly skipped: number
  readonly lastError?: string
}

/** Stops calling what fails, and tries again later. */
export interface CircuitBreaker {
  /** Makes a call, within its time. Answers `undefined` when it failed or was not made. */
  call<T>(work: () => Promise<T>): Promise<{ readonly value: T } | undefined>
  /** Whether calls are made. Asking may start a probe. */
  isClosed(): boolean
  state(): BreakerState
}

/**
 * Makes a closed breaker. While it is open no call is made; when its time is over the next caller starts one probe in
 * the background and goes on without it, so that nobody waits for a server that is gone.
 */
export function circuitBreaker(settings: BreakerSettings): CircuitBreaker {
  const { clock, timers, timeoutMs, openAfter, retryAfterMs } = settings
  let state: BreakerState['state'] = 'closed'
  let since = clock.now()
  let openedAt = 0
  let failures = 0
  let opened = 0
  let skipped = 0
  let lastError: string | undefined

  const turn = (next: BreakerState['state']) => {
    state = next
    since = clock.now()
  }
  const succeeded = () => {
    failures = 0
    if (state !== 'half-open') return
    turn('closed')
    settings.onChange('closed')
  }
  const failed = (error: unknown) => {
    failures++
    lastError = textOf(error)
    if (state === 'half-open') {
      openedAt = clock.monotonic()
      turn('open')
    } else if (state === 'closed' && failures >= openAfter) {
      opened++
      openedAt = clock.monotonic()
      turn('open')
      settings.onChange('open', lastError)
    }
  }
  const attempt = async <T>(work: () => Promise<T>): Promise<{ readonly value: T } | undefined> => {
    try {
      const value = await answerWithin({ timers }, work(), timeoutMs)
      succeeded()
      return { value }
    } catch (error) {
      failed(error)
      return undefined
    }
  }
  const isClosed = (): boolean => {
    if (state === 'closed') return true
    if (state === 'open' && clock.monotonic() - openedAt >= retryAfterMs) {
      turn('half-open')
      void attempt(settings.probe)
    }
    return false
  }
  return {
    isClosed,
    async call(work) {
      if (isClosed()) return attempt(work)
      skipped++
      return undefined
    },
    state: () => ({
      state,
      since,
      failures,
      opened,
      skipped,
      ...(lastError === undefined ? {} : { lastError }),
    }),
  }
}

/** One line about an error; clients of Redis do not put credentials into theirs. */
function textOf(error: unknown): string {
  if (error instanceof StoreTimeout) return error.message.replace('the store', 'the cache')
  const text = error instanceof Error ? error.message || error.name : String(error)
  return text.split('\n', 1)[0]?.slice(0, 200) ?? ''
}
