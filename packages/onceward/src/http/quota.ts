import type { Clock } from '../core/clock.ts'
import type { QuotaOptions } from './guard-options.ts'

/** Counts new operations per scope. */
export interface Quota {
  /** Takes one of the scope's new keys, or tells after how many ms one will be free. */
  take(
    scope: string,
  ): { readonly taken: true; giveBack(): void } | { readonly taken: false; readonly retryAfterMs: number }
}

interface Window {
  startedAt: number
  current: number
  previous: number
}

const DEFAULT_MAX_SCOPES = 10_000

/**
 * Counts in a sliding window: the count of the window before fades out as the present one goes on, so memory is two
 * numbers a scope, for `maxScopes` scopes at most. The scope idle for longest is forgotten first.
 *
 * Limit: it counts in this process only; N processes admit N times as many.
 */
export function createQuota(options: QuotaOptions, clock: Clock): Quota {
  const { newKeys, perMs, maxScopes = DEFAULT_MAX_SCOPES } = options
  for (const [name, value] of [
    ['newKeys', newKeys],
    ['perMs', perMs],
    ['maxScopes', maxScopes],
  ] as const) {
    if (!Number.isFinite(value) || value < 1)
      throw new TypeError(`quota.${name} must be a number of at least 1`)
  }
  const windows = new Map<string, Window>()
  return {
    take(scope) {
      const now = clock.monotonic()
      const window = turned(windows.get(scope) ?? { startedAt: now, current: 0, previous: 0 }, now, perMs)
      windows.delete(scope)
      windows.set(scope, window)
      if (windows.size > maxScopes) windows.delete(windows.keys().next().value as string)
      const fading = 1 - (now - window.startedAt) / perMs
      if (window.current + window.previous * fading + 1 > newKeys) {
        return { taken: false, retryAfterMs: freeAfterMs(window, now, newKeys, perMs) }
      }
      window.current++
      const { startedAt } = window
      return {
        taken: true,
        giveBack() {
          // A later window has counted nothing of this.
          if (window.startedAt === startedAt) window.current--
        },
      }
    },
  }
}

function turned(window: Window, now: number, perMs: number): Window {
  const passed = Math.floor((now - window.startedAt) / perMs)
  if (passed <= 0) return window
  window.previous = passed === 1 ? window.current : 0
  window.current = 0
  window.startedAt += passed * perMs
  return window
}

/** When the fading count of the window before, or after the turn that of this one, makes room for one more. */
function freeAfterMs(window: Window, now: number, newKeys: number, perMs: number): number {
  const left = window.startedAt + perMs - now
  const room = newKeys - 1 - window.current
  if (room >= 0 && window.previous > 0)
    return Math.max(1, window.startedAt + perMs * (1 - room / window.previous) - now)
  return Math.max(1, left + perMs * Math.max(0, 1 - (newKeys - 1) / Math.max(1, window.current)))
}
