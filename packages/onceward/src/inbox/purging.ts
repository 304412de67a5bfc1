import type { Random } from '../core/clock.ts'
import type { SqlDatabase } from '../drivers/database/index.ts'
import { type InboxCalls, MAX_ROWS } from './inbox-calls.ts'

/** On average so many messages go by between two purges in the background. */
const MESSAGES = 256

/** What purging needs. */
export interface Purging {
  readonly database: SqlDatabase
  readonly calls: InboxCalls
  readonly retentionMs: number
  readonly random: Random
  /** Whether it is done in the background. */
  readonly auto: boolean
}

/**
 * Forgets what is past its retention. In the background it happens now and then after a message, about every 256th, at most
 * 1,000 rows each time: more than come in, without a timer. One that fails is dropped: others come.
 */
export function purging({ database, calls, retentionMs, random, auto }: Purging) {
  let running: Promise<unknown> | undefined
  return {
    /** Purges until so many messages are reached, and all failures that are past it; answers how many messages. */
    async now(limit: number): Promise<number> {
      let total = 0
      for (let deleted = MAX_ROWS; deleted === MAX_ROWS && total < limit; ) {
        deleted = (await database.write(calls.purge(retentionMs))).affected
        total += deleted
      }
      for (let deleted = MAX_ROWS; deleted === MAX_ROWS; )
        deleted = (await database.write(calls.purgeFailures(retentionMs))).affected
      return total
    },
    /** Tells that so many messages were processed. */
    afterwards(messages: number): void {
      if (!auto || running || random.fraction() * MESSAGES >= messages) return
      running = database
        .write(calls.purge(retentionMs))
        .then(() => database.write(calls.purgeFailures(retentionMs)))
        .catch(() => {})
        .finally(() => {
          running = undefined
        })
    },
    async settled(): Promise<void> {
      await running
    },
  }
}
