import type { Timers } from './clock.ts'

/**
 * Resolves after `ms`.
 *
 * @param options.background - Whether the process may end meanwhile. Default false.
 */
export function pause(
  { timers }: { readonly timers: Timers },
  ms: number,
  options?: { readonly background?: boolean },
): Promise<void> {
  return new Promise((resolve) => {
    timers.after(ms, resolve, options)
  })
}
