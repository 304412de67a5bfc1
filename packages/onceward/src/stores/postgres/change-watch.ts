import { createWaitingRoom } from '../../core/waiting-room.ts'
import { NOW_MS, notifications, plain, textArray } from '../../drivers/pg/index.ts'
import type { Ended } from './locked-calls.ts'
import type { StoreContext } from './store-context.ts'

/** The pauses between two looks, in ms: short at first, because most work that is waited for is short. */
const MIN_PAUSE_MS = 5
const MAX_PAUSE_MS = 250

/** A change may seem to be so much older than it is, in ms: clocks are read in whole ms, and rows after a moment. */
const MARGIN_MS = 50

/** Waiters for a change of one record each. */
export interface ChangeWatch {
  /** Resolves when the record may have changed, or when `signal` aborts; never rejects. */
  watch(digest: string, signal: AbortSignal): Promise<void>
  /** Wakes the waiters of records that this process has ended, here and, where somebody waits, elsewhere. */
  ended(records: readonly Ended[]): void
  /** Whether pushed wakes arrive; absent while nobody has waited yet. */
  pushed(): boolean | undefined
  close(): Promise<void>
}

/** The waiters for one record. */
interface Waiters {
  count: number
  /** What the record was at the first look after they came. */
  seen: string | undefined
  /** When the first of them came, on this process's monotonic clock in ms. */
  readonly since: number
}

/**
 * Wakes waiters: at once for what this process has ended, by a notification for what others have ended, and by looking.
 * Looking alone is always right; the others are only faster. One statement looks for all waiters of the process, every
 * 5 ms at first and every 250 ms in the end, only while somebody waits.
 */
export function changeWatch(context: StoreContext): ChangeWatch {
  const { clock, timers } = context.settings
  const room = createWaitingRoom()
  const waiting = new Map<string, Waiters>()
  const push = notifications({ ...context, channel: `onceward_${context.settings.schema}` }, (digest) =>
    room.wake(digest),
  )
  let stop: (() => void) | undefined
  let looking = false
  let pause = MIN_PAUSE_MS

  const states = plain(
    `SELECT o.digest AS digest, o.state AS state, o.fence::text AS fence, (${NOW_MS} - o.updated_at)::text AS age
      FROM "${context.settings.schema}".onceward_operations AS o WHERE o.digest = ANY ($1::text[])`,
    ['digest', 'state', 'fence', 'age'],
  )
  const look = async () => {
    const before = new Map(waiting)
    const { rows } = await context.run(states, [textArray([...before.keys()])])
    const found = new Map(rows.map((row) => [row[0], row]))
    for (const [digest, waiters] of before) {
      const [, state = '', fence = '', age = ''] = found.get(digest) ?? []
      const mark = `${state} ${fence}`
      const waitedMs = clock.monotonic() - waiters.since
      const hasEnded = state === 'done' || state === 'released'
      // At first sight nothing is known of what it was before; it may have changed since the waiting began.
      const hasChanged =
        state !== 'running' &&
        (waiters.seen === undefined
          ? state === 'held' && Number(age) <= waitedMs + MARGIN_MS
          : waiters.seen !== mark)
      waiters.seen ??= mark
      if (hasEnded || hasChanged) room.wake(digest)
    }
  }
  const tick = async () => {
    stop = undefined
    looking = true
    try {
      await context.ready()
      await look()
    } catch {
      // A waiter asks the store itself and hears there what is wrong with it.
      room.wakeAll()
    }
    looking = false
    pause = Math.min(MAX_PAUSE_MS, pause * 1.5)
    poll()
  }
  const poll = () => {
    if (looking || waiting.size === 0 || context.isClosed()) return
    stop?.()
    stop = timers.after(pause, () => void tick())
  }

  return {
    async watch(digest, signal) {
      if (signal.aborted || context.isClosed()) return
      const waiters = waiting.get(digest) ?? { count: 0, seen: undefined, since: clock.monotonic() }
      waiters.count++
      waiting.set(digest, waiters)
      pause = MIN_PAUSE_MS
      poll()
      push.needed()
      await room.wait(digest, signal)
      if (--waiters.count > 0) return
      waiting.delete(digest)
      if (waiting.size > 0) return
      stop?.()
      stop = undefined
      push.unneeded()
    },
    ended(records) {
      for (const { digest } of records) room.wake(digest)
      push.tell(records.filter((one) => one.contended).map((one) => one.digest))
    },
    pushed: push.works,
    async close() {
      stop?.()
      room.wakeAll()
      await push.close()
    },
  }
}
