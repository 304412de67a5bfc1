import type { Timers } from '../../core/clock.ts'
import type { RedisConnection } from '../../drivers/redis/index.ts'
import type { PlaceGrant } from '../lock-backend.ts'

type Wake = (granted?: PlaceGrant) => void

/** The wakes of those who wait in this process, over one channel. */
export interface WakeChannel {
  /** Calls `wake` when it may be the token's turn, or has become its grant, until the returned function is called. */
  watch(token: string, wake: Wake): () => void
  close(): void
}

/** For how long the channel is kept after the last one who waited, in ms: mostly another follows. */
const LINGER_MS = 5000

/**
 * Listens to one channel of this process from the first waiter on.
 *
 * - Whoever publishes names the token that is woken; behind a space the grant that its place has become; and in a second line,
 *   mostly, the record: `told` gets that.
 * - While the subscription is not confirmed wakes may be missed. As soon as it is, and again after each loss of the
 *   connection, all who wait are woken, and ask.
 */
export function wakeChannel(
  connection: RedisConnection,
  channel: string,
  timers: Timers,
  told: (token: string, record: string) => void,
): WakeChannel {
  const waiting = new Map<string, Set<Wake>>()
  let leave: (() => void) | undefined
  let cancel = () => {}
  let closed = false

  const wake = (token: string, granted?: PlaceGrant) => {
    for (const call of [...(waiting.get(token) ?? [])]) call(granted)
  }
  const listen = () =>
    connection.subscribe(channel, {
      message(payload) {
        const end = payload.indexOf('\n')
        const line = end < 0 ? payload : payload.slice(0, end)
        const space = line.indexOf(' ')
        const token = space < 0 ? line : line.slice(0, space)
        if (!waiting.has(token)) return
        if (end >= 0) told(token, payload.slice(end + 1))
        wake(token, space < 0 ? undefined : readGrant(line.slice(space + 1)))
      },
      up() {
        for (const token of [...waiting.keys()]) wake(token)
      },
    })
  const end = () => {
    cancel()
    leave?.()
    leave = undefined
  }

  return {
    watch(token, call) {
      if (closed) return () => {}
      cancel()
      const calls = waiting.get(token) ?? new Set()
      // Each watch has a function of its own, so that two with the same one end by themselves.
      const own: Wake = (granted) => call(granted)
      waiting.set(token, calls.add(own))
      leave ??= listen()
      return () => {
        if (!calls.delete(own) || calls.size > 0 || waiting.get(token) !== calls) return
        waiting.delete(token)
        if (waiting.size > 0 || closed) return
        cancel()
        cancel = timers.after(LINGER_MS, end, { background: true })
      }
    },
    close() {
      closed = true
      waiting.clear()
      end()
    },
  }
}

/** A grant as `record-lua.ts` writes it. Of anything else only the turn is told: who asks is told the rest. */
function readGrant(text: string): PlaceGrant | undefined {
  try {
    const [round, digits, mark] = JSON.parse(text) as readonly unknown[]
    const fence = typeof digits === 'string' ? Number(digits) : 0
    if (typeof round !== 'number' || !(fence > 0)) return undefined
    return { round, fence, ...(typeof mark === 'string' ? { mark } : {}) }
  } catch {
    return undefined
  }
}
