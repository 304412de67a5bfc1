import { createWaitingRoom } from '../../core/waiting-room.ts'
import { CHANGE_MARK } from '../../drivers/sqlite/index.ts'
import type { StoreContext } from './store-context.ts'

/** The pauses between two looks for what other processes wrote, in ms. */
const MIN_PAUSE_MS = 5
const MAX_PAUSE_MS = 50

/** Waiters for a change of one record each. */
export interface ChangeWatch {
  /** Resolves when the record may have changed, or when `signal` aborts; never rejects. */
  watch(digest: string, signal: AbortSignal): Promise<void>
  /** Wakes the waiters of a record that this process has changed. */
  wake(digest: string): void
  close(): void
}

/** The waiters for one record. */
interface Waiters {
  count: number
  /** What the record was when the last of them came. */
  seen: string
}

const STATES =
  'SELECT digest, state, fence FROM onceward_operations WHERE digest IN (SELECT value FROM json_each(?))'

/**
 * Wakes waiters: at once for what this store wrote, and by one poller a store for what others wrote to the file. The
 * poller looks every 5 ms at first and every 50 ms in the end, only while somebody waits, and reads records only after
 * SQLite's own change counters have moved.
 */
export function changeWatch(context: StoreContext): ChangeWatch {
  const { connection, timers } = context
  const room = createWaitingRoom()
  const waiting = new Map<string, Waiters>()
  let stop: (() => void) | undefined
  let pause = MIN_PAUSE_MS
  let mark = ''

  const statesOf = (digests: readonly string[]) => {
    const states = new Map<string, string>()
    const rows = connection.prepare(STATES).all(JSON.stringify(digests))
    for (const row of rows as { digest: string; state: string; fence: number }[]) {
      states.set(row.digest, `${row.state} ${row.fence}`)
    }
    return states
  }
  const look = () => {
    // Rows of a transaction that is still open on this handle may be rolled back.
    if (connection.inTransaction()) return
    const now = JSON.stringify(connection.prepare(CHANGE_MARK).get())
    if (now === mark) return
    mark = now
    pause = MIN_PAUSE_MS
    const states = statesOf([...waiting.keys()])
    for (const [digest, { seen }] of waiting) {
      const state = states.get(digest) ?? ''
      if (state !== seen && !state.startsWith('running')) room.wake(digest)
    }
  }
  const tick = () => {
    stop = undefined
    if (waiting.size === 0 || context.isClosed()) return
    try {
      look()
    } catch {
      // A waiter asks the store itself and hears there what is wrong with it.
      room.wakeAll()
    }
    pause = Math.min(MAX_PAUSE_MS, pause * 1.5)
    poll()
  }
  const poll = () => {
    stop?.()
    stop = timers.after(pause, tick)
  }
  /** What the record is now; nothing when it has ended and there is nothing to wait for. */
  const firstSight = (digest: string): string | undefined => {
    try {
      if (connection.inTransaction()) return ''
      const state = statesOf([digest]).get(digest)
      return state && /^(running|held)/.test(state) ? state : undefined
    } catch {
      return ''
    }
  }

  return {
    async watch(digest, signal) {
      if (signal.aborted || context.isClosed()) return
      const seen = firstSight(digest)
      if (seen === undefined) return
      const waiters = waiting.get(digest) ?? { count: 0, seen }
      waiters.count++
      waiters.seen = seen
      waiting.set(digest, waiters)
      // What was written between that sight and the first look must not be taken for old.
      mark = ''
      pause = MIN_PAUSE_MS
      poll()
      await room.wait(digest, signal)
      if (--waiters.count > 0) return
      waiting.delete(digest)
      if (waiting.size > 0) return
      stop?.()
      stop = undefined
    },
    wake: room.wake,
    close() {
      stop?.()
      stop = undefined
      room.wakeAll()
    },
  }
}
