import type { Claim, Outcome } from '../../core/operation.ts'
import * as transitions from '../../core/transitions.ts'
import { type PgValue, plainArray, textArray } from '../../drivers/pg/index.ts'
import { type Gatherer, outcomeColumns } from '../../drivers/sql/index.ts'
import { BATCH_LOCK_MS, type Ended, type LockedCalls } from './locked-calls.ts'
import { inParts, sizeOf } from './parts-by-bytes.ts'
import { once, payloadValues } from './record-rows.ts'
import { sendBatches } from './send-batches.ts'
import type { StoreContext } from './store-context.ts'

/** An operation to end. */
export interface Completion {
  readonly claim: Claim
  readonly outcome: Outcome
  readonly retentionMs: number
}

/** Makes the fast way of ending operations: one statement for a batch. What it does not know goes the slow way. */
export function completionCalls(
  context: StoreContext,
  locked: LockedCalls,
  onEnded: (ended: readonly Ended[]) => void,
): Gatherer<Completion, boolean> {
  return sendBatches<Completion, boolean>(context, async (batch) => {
    await context.ready()
    for (const part of inParts(batch, ({ ask }) => sizeOf(ask.outcome))) {
      const answer = await context.run(
        context.statements.complete,
        completionValues(
          part.map(({ ask }) => ask),
          // Alone it is worth waiting for whoever has locked the record for a moment.
          part.length > 1 ? BATCH_LOCK_MS : context.settings.lockTimeoutMs,
        ),
      )
      const ended = new Map(answer.rows.map(([digest, contended]) => [digest, contended === 'true']))
      onEnded([...ended].map(([digest, contended]) => ({ digest: digest ?? '', contended })))
      for (const { key, ask, resolve, reject } of part) {
        if (ended.has(key)) resolve(true)
        else slowly(locked, ask).then(resolve, reject)
      }
    }
  })
}

function slowly(locked: LockedCalls, { claim, outcome, retentionMs }: Completion): Promise<boolean> {
  return locked.submit(claim.id.digest, (found, now) =>
    transitions.complete(found, claim, outcome, retentionMs, now),
  )
}

/** The parameters of the statement `complete`. */
export function completionValues(
  completions: readonly Completion[],
  lockTimeoutMs: number = BATCH_LOCK_MS,
): PgValue[] {
  // A plain value is the rule; its detail follows from its length.
  const columns = completions.map(({ outcome }) =>
    outcome.kind === 'value' ? { detail: null, payload: outcome.value } : outcomeColumns(outcome),
  )
  return [
    String(lockTimeoutMs),
    textArray(completions.map(({ claim }) => claim.id.digest)),
    textArray(completions.map(({ claim }) => claim.owner)),
    plainArray(completions.map(({ claim }) => claim.fence)),
    plainArray(once(completions.map(({ retentionMs }) => retentionMs))),
    textArray(columns.some(({ detail }) => detail !== null) ? columns.map(({ detail }) => detail) : [null]),
    ...payloadValues(columns.map(({ payload }) => payload)),
  ]
}

/** A claim to prolong. */
export interface Renewal {
  readonly claim: Claim
  readonly leaseMs: number
}

/** Makes the way of prolonging claims: one statement for a batch, which writes one column that no index has. */
export function renewalCalls(context: StoreContext): Gatherer<Renewal, boolean> {
  return sendBatches<Renewal, boolean>(context, async (batch) => {
    await context.ready()
    const asks = batch.map((one) => one.ask)
    const { rows } = await context.run(context.statements.renew, [
      // Alone it is worth waiting for whoever has locked the record for a moment.
      String(asks.length > 1 ? BATCH_LOCK_MS : context.settings.lockTimeoutMs),
      textArray(asks.map(({ claim }) => claim.id.digest)),
      textArray(asks.map(({ claim }) => claim.owner)),
      plainArray(asks.map(({ claim }) => claim.fence)),
      plainArray(asks.map(({ leaseMs }) => leaseMs)),
    ])
    const renewed = new Set(rows.map(([digest]) => digest))
    for (const { key, resolve } of batch) resolve(renewed.has(key))
  })
}
