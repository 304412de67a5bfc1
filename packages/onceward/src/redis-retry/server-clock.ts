import type { Clock } from '../core/clock.ts'
import type { RedisConnection } from '../drivers/redis/index.ts'

/** How far the server's clock is ahead of our monotonic one, in ms: at least and at most, over all nodes of a cluster. */
export interface Ahead {
  readonly leastMs: number
  readonly mostMs: number
}

/** What is known of the clock of the server. */
export interface ServerClock {
  /** What is known; asks the server where nothing is. */
  ahead(): Promise<Ahead>
  /** Asks the server again, beside, where what is known is old or doubted. */
  refresh(): void
  /** What is known now. */
  known(): Ahead | undefined
  /** It may be another server now. */
  doubt(): void
  /** Takes a reading of the server's clock that came with a reply to what was sent at `sentAt`, on our monotonic clock. */
  learn(serverMs: number, sentAt: number): void
}

/** Clocks drift: after so many ms they are read again. */
const OLD_MS = 60_000

/** Learns the clock of the server by `TIME`. */
export function serverClock(connection: RedisConnection, clock: Clock): ServerClock {
  let ahead: Ahead | undefined
  let readAt = 0
  let reading: Promise<Ahead> | undefined

  const read = async (): Promise<Ahead> => {
    const before = clock.monotonic()
    const replies = await connection.commandToMasters(['TIME'])
    const after = clock.monotonic()
    const times = replies.map((reply) => {
      const [seconds, micros] = reply as readonly unknown[]
      return Number(seconds) * 1000 + Math.floor(Number(micros) / 1000)
    })
    readAt = after
    ahead = { leastMs: Math.min(...times) - after, mostMs: Math.max(...times) + 1 - before }
    return ahead
  }
  const readOnce = (): Promise<Ahead> => {
    reading ??= read().finally(() => {
      reading = undefined
    })
    return reading
  }
  return {
    async ahead() {
      return ahead ?? readOnce()
    },
    refresh() {
      if (reading === undefined && clock.monotonic() - readAt > OLD_MS) readOnce().catch(() => {})
    },
    known: () => ahead,
    doubt() {
      readAt = -Infinity
    },
    learn(serverMs, sentAt) {
      const now = clock.monotonic()
      ahead = {
        leastMs: Math.min(ahead?.leastMs ?? Infinity, serverMs - now),
        mostMs: Math.max(ahead?.mostMs ?? -Infinity, serverMs + 1 - sentAt),
      }
      readAt = -Infinity
    },
  }
}
