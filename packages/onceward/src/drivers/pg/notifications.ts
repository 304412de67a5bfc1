import type { Pausing } from './own-transaction.ts'
import { textArray } from './pg-array.ts'
import type { PgDriver, PgListener, Run } from './pg-driver.ts'
import { plain } from './statements.ts'

/** Where notifications are sent and heard. */
export interface Notifying extends Pausing {
  /** What is listened on; absent where nobody is to listen. */
  readonly listener: PgDriver | undefined
  /** A fixed word with a checked schema. */
  readonly channel: string
  /** Runs one statement by itself. */
  readonly run: Run
}

/** For how long a listening connection outlives the last waiter, in ms. */
const LINGER_MS = 10_000

/** After how long a lost or refused connection is tried again, in ms. */
const RETRY_MS = 30_000

/** Notifications to and from other processes. */
export interface Notifications {
  /** Somebody waits: listens, if it can. */
  needed(): void
  /** Nobody waits any more. */
  unneeded(): void
  /** Tells these names, which have no spaces. Nobody is asked to wait for it. */
  tell(names: readonly string[]): void
  /** Whether what is told arrives; absent as long as nobody has listened. */
  works(): boolean | undefined
  close(): Promise<void>
}

/** A name has up to 85 characters; a payload may have 8,000 bytes. */
const MAX_TOLD = 90

/**
 * Listens on a connection of its own while somebody waits. NOTIFY takes a lock of the whole server at its commit, so it
 * is sent after the commit of what it tells, by itself, and only where somebody may wait for it.
 *
 * Behind a pooler in transaction mode LISTEN is accepted and nothing arrives: a probe tells, and waiters poll then.
 */
export function notifications(parts: Notifying, onTold: (name: string) => void): Notifications {
  const { listener: source, settings, channel } = parts
  const { timers, random } = settings
  const send = plain(`SELECT pg_notify($1::text, told)::text AS sent FROM unnest($2::text[]) AS told`, [
    'sent',
  ])
  let listener: Promise<PgListener | undefined> | undefined
  let works: boolean | undefined
  let stopLinger: (() => void) | undefined
  let closed = false

  const probe = `probe ${random.nonce()}`
  const open = async (): Promise<PgListener | undefined> => {
    try {
      const opened = await source?.listen({
        channel,
        onPayload(payload) {
          if (payload === probe) works = true
          else for (const name of payload.split(' ')) onTold(name)
        },
        onLost: retryLater,
      })
      works = false
      await parts.run(send, [channel, textArray([probe])])
      return opened
    } catch {
      // Waiters poll.
      retryLater()
      return undefined
    }
  }
  /** Lets this one be followed by another, but not at once. */
  const retryLater = () => {
    works = false
    const lost = listener
    timers.after(
      RETRY_MS,
      () => {
        if (listener === lost) listener = undefined
      },
      { background: true },
    )
  }
  const end = async () => {
    const opened = listener
    listener = undefined
    stopLinger?.()
    stopLinger = undefined
    await (await opened)?.close().catch(() => {})
  }

  return {
    needed() {
      stopLinger?.()
      stopLinger = undefined
      if (source && !closed) listener ??= open()
    },
    unneeded() {
      stopLinger ??= timers.after(LINGER_MS, () => void end(), { background: true })
    },
    tell(names) {
      if (!source || closed || names.length === 0) return
      const payloads: string[] = []
      for (let from = 0; from < names.length; from += MAX_TOLD) {
        payloads.push(names.slice(from, from + MAX_TOLD).join(' '))
      }
      // Lost ones are found by polling.
      parts.run(send, [channel, textArray(payloads)]).catch(() => {})
    },
    works: () => works,
    async close() {
      closed = true
      await end()
    },
  }
}
