import { nextTurn } from '../../core/next-turn.ts'
import type { SeenItems } from '../../core/seen-items.ts'
import { writeTransaction } from '../../drivers/sqlite/index.ts'
import type { StoreContext } from './store-context.ts'

/** Marks an item that is new or whose window is over; changes nothing otherwise. */
const TAKE = `INSERT INTO onceward_seen AS s (digest, expires_at, mark_id) VALUES (?, ?, ?)
  ON CONFLICT (digest) DO UPDATE SET expires_at = excluded.expires_at, mark_id = excluded.mark_id
  WHERE s.expires_at <= ?`
const IS_MINE = 'SELECT 1 AS mine FROM onceward_seen WHERE digest = ? AND mark_id = ?'
const PROLONG = 'UPDATE onceward_seen SET expires_at = ? WHERE digest = ?'
const FORGET = 'DELETE FROM onceward_seen WHERE digest = ? RETURNING expires_at'
const PURGE = `DELETE FROM onceward_seen WHERE digest IN (
  SELECT digest FROM onceward_seen WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)`

/** So many items are one transaction: their turn of the event loop takes about 10 ms. */
const PART = 1000

/** Remembers items in the table `onceward_seen`, in short transactions, with a turn of the event loop between two. */
export function sqliteSeen(
  context: StoreContext,
  call: <T>(body: () => T | Promise<T>) => Promise<T>,
): SeenItems {
  const { connection, clock } = context
  const write = <T>(body: (now: number) => T) =>
    // Time is read under the write lock, so it never runs against the order of the commits.
    call(() => writeTransaction(context, () => body(Math.floor(clock.now()))))
  const inParts = async (
    digests: readonly string[],
    ask: (part: readonly string[], now: number) => readonly boolean[],
  ): Promise<readonly boolean[]> => {
    const answers: boolean[] = []
    for (let from = 0; from < digests.length; from += PART) {
      if (from > 0) await nextTurn()
      const part = digests.slice(from, from + PART)
      answers.push(...(await write((now) => ask(part, now))))
    }
    return answers
  }

  return {
    mark: ({ digests, markId, windowMs, sliding }) =>
      inParts(digests, (part, now) => {
        const take = connection.prepare(TAKE)
        const isMine = connection.prepare(IS_MINE)
        const prolong = connection.prepare(PROLONG)
        const [mark, expiresAt] = [Buffer.from(markId, 'base64url'), now + windowMs]
        return part.map((text) => {
          const digest = Buffer.from(text, 'base64url')
          if (Number(take.run(digest, expiresAt, mark, now).changes) === 1) return true
          if (sliding) prolong.run(expiresAt, digest)
          return isMine.get(digest, mark) !== undefined
        })
      }),
    forget: (digests) =>
      inParts(digests, (part, now) => {
        const forget = connection.prepare(FORGET)
        return part.map((digest) => {
          const [gone] = forget.all(Buffer.from(digest, 'base64url')) as { readonly expires_at: number }[]
          return gone !== undefined && gone.expires_at > now
        })
      }),
    purge: (limit) => write((now) => Number(connection.prepare(PURGE).run(now, limit).changes)),
  }
}
