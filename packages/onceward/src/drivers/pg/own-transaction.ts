import { backOffMs } from '../../core/back-off.ts'
import type { Random, Timers } from '../../core/clock.ts'
import { jittered } from '../../core/jittered.ts'
import { pause } from '../../core/pause.ts'
import type { PgDriver, PgTransaction } from './pg-driver.ts'
import { isConflict } from './pg-errors.ts'

/** What pauses between tries need. */
export interface Pausing {
  readonly settings: { readonly timers: Timers; readonly random: Random }
}

/** How often a transaction of our own is tried that others have undone. */
const MAX_TRIES = 8

/** The pauses before other tries, in ms. */
const PAUSES = { initialMs: 2, maxMs: 100 }

/** Runs a transaction of our own, again when a deadlock or a conflict has undone it. */
export function ownTransaction<T>(
  context: Pausing & { readonly driver: PgDriver },
  body: (tx: PgTransaction) => Promise<T>,
): Promise<T> {
  return whileInConflict(context, () => context.driver.transaction(body))
}

/** Runs what may be undone by a deadlock or a conflict, and again when it was. */
export async function whileInConflict<T>(context: Pausing, body: () => Promise<T>): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await body()
    } catch (error) {
      if (!isConflict(error) || attempt + 1 >= MAX_TRIES) throw error
    }
    await backOff(context, attempt)
  }
}

/** Waits before try `attempt` (from 0) is repeated: longer each time, with jitter so that those in conflict part. */
export function backOff({ settings }: Pausing, attempt: number): Promise<void> {
  return pause(settings, jittered(settings.random, backOffMs(PAUSES, attempt)))
}
