import type { Clock, Timers } from '../core/clock.ts'
import type { ChangeHints } from '../drivers/database/index.ts'

/** How often hints are sent at most, in ms: one to all is dear, and says as much as many. */
const EVERY_MS = 20

/** Tells at once what is the first in a while, and what follows together, a little later. Background work. */
export function rareTell(
  hints: Pick<ChangeHints, 'tell'>,
  { clock, timers }: { readonly clock: Clock; readonly timers: Timers },
): () => void {
  let toldAt = Number.NEGATIVE_INFINITY
  let isPlanned = false
  const tell = () => {
    isPlanned = false
    toldAt = clock.monotonic()
    hints.tell()
  }
  return () => {
    if (isPlanned) return
    const waitMs = EVERY_MS - (clock.monotonic() - toldAt)
    if (waitMs <= 0) return tell()
    isPlanned = true
    timers.after(waitMs, tell)
  }
}
