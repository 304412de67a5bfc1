import { monotonicMs } from './event-log.ts'

/** How often it looks at the clock, in ms. */
const LOOK_MS = 10

/** Measures how long this process is kept from running; answers the longest time, in ms, and ends. */
export function watchLag(): () => number {
  let last = monotonicMs()
  let longest = 0
  const timer = setInterval(() => {
    const now = monotonicMs()
    longest = Math.max(longest, now - last - LOOK_MS)
    last = now
  }, LOOK_MS)
  return () => {
    clearInterval(timer)
    return Math.round(longest)
  }
}
