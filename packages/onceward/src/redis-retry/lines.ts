import type { OpenLink } from '../drivers/redis/open-link.ts'
import { openReserve, type ReserveClient } from '../drivers/redis/reserve-client.ts'

/** A way to the server, and when it was heard of last. */
export interface Line {
  readonly open: OpenLink
  /** When a reply came over it last, on our monotonic clock in ms. */
  heardAt: number
  /** How many attempts are made over it now. */
  attempts: number
}

/** The line that attempts are made over. */
export interface Lines {
  /** The line for one more attempt; each is to be left again. */
  enter(): Line
  leave(line: Line): void
  /** An attempt that was sent over `line` at `sentAt` was not answered in time. */
  silent(line: Line, sentAt: number): void
  close(): void
}

/**
 * A connection can be dead without anybody telling: then everything sent over it waits until TCP gives up, for minutes.
 * So when an attempt is not answered and nothing else came since, the next ones go over a client of our own with the same
 * options, until the given one is known to work again.
 *
 * @param client - The given one; it is not closed here.
 */
export function lines(client: object, open: OpenLink, monotonic: () => number): Lines {
  const given: Line = { open, heardAt: monotonic(), attempts: 0 }
  let reserve: (ReserveClient & { readonly line: Line }) | undefined
  /** Those that are closed with the last attempt over them: what is sent once must not be lost for that. */
  const retired = new Map<Line, () => void>()
  let watching = false
  let closed = false

  const endReserve = () => {
    const ended = reserve
    if (ended === undefined) return
    reserve = undefined
    if (ended.line.attempts === 0) ended.close()
    else retired.set(ended.line, () => ended.close())
  }
  /** Goes back to the given client once it answers, or is connected anew. */
  const watchGiven = () => {
    if (watching) return
    watching = true
    const back = () => {
      watching = false
      given.heardAt = monotonic()
      endReserve()
    }
    const { link, whenReady } = open
    const asked = link.isReady()
      ? link.send([['PING']], undefined, new AbortController().signal)[0]
      : Promise.reject(new Error('not connected'))
    // An error reply is a reply; a lost connection will be made again, or the client was closed by its owner.
    asked?.then(back, () => (link.isReady() || link.closedReason() !== undefined ? back() : whenReady(back)))
  }
  return {
    enter() {
      const line = reserve?.line ?? given
      line.attempts++
      return line
    },
    leave(line) {
      line.attempts--
      if (line.attempts > 0) return
      retired.get(line)?.()
      retired.delete(line)
    },
    silent(line, sentAt) {
      // In a cluster one node can be silent while others are heard of.
      const heard = line.heardAt >= sentAt && open.link.topology !== 'cluster'
      if (closed || heard || line !== (reserve?.line ?? given)) return
      endReserve()
      const next = openReserve('safeRedis', client)
      reserve = { ...next, line: { open: next.open, heardAt: monotonic(), attempts: 0 } }
      watchGiven()
    },
    close() {
      closed = true
      endReserve()
      for (const end of retired.values()) end()
    },
  }
}
