import { answerWithin } from './answer-within.ts'
import { isLasting } from './errors.ts'
import { jittered } from './jittered.ts'
import type { OperationId } from './operation.ts'
import { pause } from './pause.ts'
import type { Engine } from './settings.ts'

/** What became of a transition: applied, refused because the claim is not ours any more, or the store cannot be reached. */
export type Persisted = 'applied' | 'refused' | 'unreachable'

const FIRST_PAUSE_MS = 10

/** A store that never answers is asked so many times within one lease. */
const TRIES = 3

/**
 * Brings a transition to the store, under the heartbeat: tries again for one lease at most.
 *
 * Every transition answers the same when it is repeated, so a lost reply is no obstacle. It goes on when the claim may
 * be lost meanwhile: a heartbeat after the end is refused too, and only the store can tell that end from another
 * caller's claim. A stale claim changes nothing there.
 */
export async function persist(
  engine: Engine,
  leaseMs: number,
  id: OperationId,
  transition: () => Promise<boolean>,
): Promise<Persisted> {
  const startedAt = engine.clock.monotonic()
  let pauseMs = FIRST_PAUSE_MS
  for (;;) {
    try {
      const applied = await answerWithin(engine, transition(), leaseMs / TRIES)
      return applied ? 'applied' : 'refused'
    } catch (error) {
      engine.emit('not-stored', id, { error })
      if (isLasting(error) || engine.clock.monotonic() - startedAt >= leaseMs) return 'unreachable'
    }
    await pause(engine, jittered(engine.random, pauseMs))
    pauseMs = Math.min(pauseMs * 2, leaseMs / 6)
  }
}
