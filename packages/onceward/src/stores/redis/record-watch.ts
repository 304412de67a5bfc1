import { createWaitingRoom } from '../../core/waiting-room.ts'
import type { ChannelListener } from '../../drivers/redis/index.ts'
import type { StoreContext } from './store-context.ts'
import { watchItem } from './transition-items.ts'

/** Waiters for a change of one record each. */
export interface RecordWatch {
  /** Resolves when the record may have changed, or when `signal` aborts; never rejects. */
  watch(digest: string, signal: AbortSignal): Promise<void>
  close(): void
}

/** The first pause between two looks while nothing tells of changes, the longest one, and the pause otherwise, in ms. */
const MIN_PAUSE_MS = 50
const MAX_PAUSE_MS = 1000
const CALM_PAUSE_MS = 5000

/** A change so shortly before the waiting began is taken for one that came after, in ms: clocks tick. */
const MARGIN_MS = 2

interface Waited {
  count: number
  /** When the first of them came, on the monotonic clock. */
  readonly since: number
  readonly leave: () => void
}

/**
 * Wakes waiters by the channel of each record that somebody waits for.
 *
 * ```
 *  subscribe ──▶ confirmed ──▶ look (and note in the record that somebody waits) ──▶ wait for the message
 * ```
 *
 * A change before the look is seen by it, a change after it is published. While the subscription is not confirmed, and
 * where its loss would not be noticed, the records are looked at again and again, ever more rarely up to once a second.
 */
export function recordWatch(context: StoreContext): RecordWatch {
  const { connection, layout, batches, clock, timers } = context
  const room = createWaitingRoom()
  const waiting = new Map<string, Waited>()
  let pauseMs = MIN_PAUSE_MS
  let cancel = () => {}
  let closed = false

  const look = async (digest: string) => {
    try {
      const sight = await batches.submit(watchItem(digest))
      const waitedMs = clock.monotonic() - (waiting.get(digest)?.since ?? 0)
      const changed = sight === 'ended' || (sight !== 'running' && sight.heldForMs <= waitedMs + MARGIN_MS)
      if (changed) room.wake(digest)
    } catch {
      // A waiter asks the store itself and hears there what is wrong with it.
      room.wake(digest)
    }
  }
  const poll = () => {
    cancel()
    const calm = connection.isListening()
    if (calm) pauseMs = MIN_PAUSE_MS
    cancel = timers.after(calm ? CALM_PAUSE_MS : pauseMs, () => {
      if (closed || waiting.size === 0) return
      pauseMs = Math.min(pauseMs * 2, MAX_PAUSE_MS)
      void Promise.all([...waiting.keys()].map(look)).then(() => {
        if (!closed && waiting.size > 0) poll()
      })
    })
  }
  const listen = (digest: string): Waited => {
    const listener: ChannelListener = {
      up: () => void look(digest),
      message: () => room.wake(digest),
    }
    return {
      count: 0,
      since: clock.monotonic(),
      leave: connection.subscribe(layout.bucketOf(digest).record + digest, listener),
    }
  }

  return {
    async watch(digest, signal) {
      if (signal.aborted || closed) return
      const waited = waiting.get(digest)
      const own = waited ?? listen(digest)
      own.count++
      if (waited === undefined) {
        waiting.set(digest, own)
        if (waiting.size === 1) pauseMs = MIN_PAUSE_MS
        poll()
      } else void look(digest)
      await room.wait(digest, signal)
      if (--own.count > 0) return
      waiting.delete(digest)
      own.leave()
      if (waiting.size === 0) cancel()
    },
    close() {
      closed = true
      cancel()
      room.wakeAll()
    },
  }
}
