import { answerWithin } from './answer-within.ts'
import type { OperationRecord } from './operation.ts'
import { isOwnScope, reconcileHeld } from './reconciling.ts'
import type { Engine, Policy } from './settings.ts'

const PAGE = 1000

/**
 * One pass of self-healing: lapsed claims of the whole store become held or free, then `reconcile` is asked about every
 * held operation of this instance whose quiet time is over, one after the other.
 *
 * @throws `TypeError` when the store has no catalog.
 */
export async function heal(
  engine: Engine,
  policy: Policy,
): Promise<{ readonly swept: number; readonly settled: number }> {
  const { store, storeTimeoutMs } = engine
  if (store.sweep === undefined || store.list === undefined) {
    throw new TypeError('heal needs a store with a catalog (capability "listing")')
  }
  let swept = 0
  for (let more = PAGE; more === PAGE; swept += more)
    more = await answerWithin(engine, store.sweep(PAGE), storeTimeoutMs)
  let settled = 0
  let cursor: string | undefined
  do {
    const query = { state: 'held' as const, limit: PAGE, ...(cursor === undefined ? {} : { cursor }) }
    const page = await answerWithin(engine, store.list(query), storeTimeoutMs)
    for (const record of page.records) {
      if (isOwnScope(record.id.scope, engine.scope) && (await reconcileRecord(engine, policy, record)))
        settled++
    }
    cursor = page.cursor
  } while (cursor !== undefined)
  return { swept, settled }
}

function reconcileRecord(engine: Engine, policy: Policy, record: OperationRecord): Promise<boolean> {
  const { id, fence, attempt, asks, heldReason: reason = 'unknown' } = record
  // Whether the quiet time is over is the store's to tell: it refuses the turn otherwise.
  return reconcileHeld(
    engine,
    policy,
    id,
    { state: 'held', reason, fence, attempt, asks, mayAskInMs: 0 },
    undefined,
  )
}
