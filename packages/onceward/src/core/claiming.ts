import { answerWithin, StoreTimeout } from './answer-within.ts'
import { isLasting, isOncewardError, OncewardError } from './errors.ts'
import { jittered } from './jittered.ts'
import { type Reading, readClock } from './lease-clock.ts'
import { isSpent } from './lease-keeper.ts'
import { pause } from './pause.ts'
import type { Engine } from './settings.ts'
import type { ClaimReply, ClaimRequest } from './store.ts'

/** The answer to a claim, and when the request that it answers was sent. */
export interface Claimed {
  readonly reply: ClaimReply
  readonly sentAt: Reading
}

const FIRST_PAUSE_MS = 20

/**
 * Asks the store for a claim. A failed or lost request is asked again under the same nonce, which is the same claim,
 * until `storeTimeoutMs` is over; no request gets more than half of it, so that one that is never answered leaves time
 * for another. A claim that was granted after all, when nobody waits for it any more, is released.
 *
 * @throws `STORE_UNAVAILABLE` (effect none), or the store's own error where asking again is pointless.
 */
export async function claim(engine: Engine, request: ClaimRequest): Promise<Claimed> {
  const startedAt = engine.clock.monotonic()
  const pending: Promise<ClaimReply>[] = []
  let pauseMs = FIRST_PAUSE_MS
  for (;;) {
    const sentAt = readClock(engine)
    try {
      const asked = engine.store.claim(request)
      pending.push(asked)
      const leftMs = engine.storeTimeoutMs - (engine.clock.monotonic() - startedAt)
      const reply = await answerWithin(
        engine,
        asked,
        Math.max(1, Math.min(engine.storeTimeoutMs / 2, leftMs)),
      )
      // Work must not begin under a claim that others may have found lapsed by now: the store is asked what became of it.
      if (reply.state === 'claimed' && isSpent(engine, request.leaseMs, sentAt))
        throw new StoreTimeout('the grant came too late')
      return { reply, sentAt }
    } catch (error) {
      const spentMs = engine.clock.monotonic() - startedAt
      if (isLasting(error) || error instanceof TypeError || spentMs + pauseMs >= engine.storeTimeoutMs) {
        disown(engine, request, pending)
        if (isOncewardError(error) || error instanceof TypeError) throw error
        throw new OncewardError('STORE_UNAVAILABLE', undefined, { cause: error, retryAfterMs: 1000 })
      }
    }
    await pause(engine, jittered(engine.random, pauseMs))
    pauseMs *= 2
  }
}

/**
 * Gives back what was granted to a caller that has gone. Without it, work that never began would lapse into *held*.
 * It only releases what bears this nonce, and makes no claim itself; it gives up when the lease is over.
 */
function disown(engine: Engine, request: ClaimRequest, pending: readonly Promise<ClaimReply>[]): void {
  const giveBack = async () => {
    const record = await engine.store.get(request.id)
    if (record?.state !== 'running' || record.owner !== request.owner) return
    const { id, owner, fence, attempt } = { ...record, owner: request.owner }
    await engine.store.release({ id, owner, fence, attempt })
  }
  const retry = async () => {
    const startedAt = engine.clock.monotonic()
    for (let pauseMs = FIRST_PAUSE_MS; engine.clock.monotonic() - startedAt < request.leaseMs; pauseMs *= 2) {
      try {
        return await answerWithin(engine, giveBack(), engine.storeTimeoutMs)
      } catch {
        await pause(engine, pauseMs, { background: true })
      }
    }
  }
  void retry()
  for (const asked of pending) asked.then(giveBack).catch(() => {})
}
