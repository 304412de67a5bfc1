import type { Clock, Timers } from '../../core/clock.ts'
import { createWaitingRoom } from '../../core/waiting-room.ts'

/** The pauses between two looks for what other processes wrote, in ms. */
const MIN_PAUSE_MS = 5
const MAX_PAUSE_MS = 250

/** What a poller needs. */
export interface Polling {
  readonly clock: Pick<Clock, 'monotonic'>
  readonly timers: Timers
  /** Reads a mark of each record that is there, in one query: one that differs once the record has changed. */
  marksOf(digests: readonly string[]): Promise<ReadonlyMap<string, Mark>>
  isClosed(): boolean
}

/** What a record was when it was looked at. */
export interface Mark {
  /** Whether there is something to wait for: running or held. */
  readonly open: boolean
  readonly mark: string
  /** How long ago its latest transition was, in ms by the clock of the server. */
  readonly changedMsAgo: number
}

/** Waiters for a change of one record each. */
export interface PollWatch {
  /** Resolves when the record may have changed, or when `signal` aborts; never rejects. */
  watch(digest: string, signal: AbortSignal): Promise<void>
  /** Wakes the waiters of a record that was changed, and the poller looks soon again. */
  wake(digest: string): void
  close(): void
}

/**
 * Wakes waiters: at once for what this process wrote, and by one poller a store for what others wrote. The poller asks
 * once for all waiters, every 5 ms at first and every 250 ms in the end, and only while somebody waits.
 */
export function pollWatch(polling: Polling): PollWatch {
  const room = createWaitingRoom()
  /** By digest: how many wait, since when the first of them, and what the record was at first sight, once it was seen. */
  const waiting = new Map<string, { count: number; readonly since: number; seen: string | undefined }>()
  let stop: (() => void) | undefined
  let looking = false
  let pauseMs = MIN_PAUSE_MS
  /** The pause that was begun before the next look. */
  let begunMs = 0

  const look = async () => {
    const asked = [...waiting.keys()]
    const marks = await polling.marksOf(asked)
    for (const digest of asked) {
      const waiters = waiting.get(digest)
      if (!waiters) continue
      const found = marks.get(digest)
      if (!found?.open || hasChanged(waiters, found)) room.wake(digest)
      else waiters.seen = found.mark
    }
  }
  /** Before the first sight of a record it may have changed already, since somebody waits for it. */
  const hasChanged = ({ seen, since }: { seen: string | undefined; since: number }, found: Mark) =>
    seen === undefined ? found.changedMsAgo <= polling.clock.monotonic() - since : seen !== found.mark
  const tick = async () => {
    stop = undefined
    if (waiting.size === 0 || polling.isClosed() || looking) return
    looking = true
    try {
      await look()
    } catch {
      // A waiter asks the store itself and hears there what is wrong with it.
      room.wakeAll()
    }
    looking = false
    pauseMs = Math.min(MAX_PAUSE_MS, pauseMs * 1.5)
    schedule()
  }
  const schedule = () => {
    // Whoever comes may have the next look sooner, and never later: others may come all the time.
    if (stop !== undefined && begunMs <= pauseMs) return
    stop?.()
    stop = undefined
    if (waiting.size === 0 || looking || polling.isClosed()) return
    begunMs = pauseMs
    stop = polling.timers.after(pauseMs, () => void tick())
  }

  return {
    async watch(digest, signal) {
      if (signal.aborted || polling.isClosed()) return
      const since = polling.clock.monotonic()
      const waiters = waiting.get(digest) ?? { count: 0, since, seen: undefined }
      waiters.count++
      waiting.set(digest, waiters)
      pauseMs = MIN_PAUSE_MS
      schedule()
      await room.wait(digest, signal)
      if (--waiters.count > 0) return
      waiting.delete(digest)
      if (waiting.size === 0) {
        stop?.()
        stop = undefined
      }
    },
    wake: room.wake,
    close() {
      stop?.()
      stop = undefined
      room.wakeAll()
    },
  }
}
