import type { ClaimReply, ClaimRequest } from '../../core/store.ts'
import * as transitions from '../../core/transitions.ts'
import { isLockTimeout, type PgValue, plainArray, type TextRow, textArray } from '../../drivers/pg/index.ts'
import { fitsColumn, type Gatherer, type Waiting } from '../../drivers/sql/index.ts'
import { BATCH_LOCK_MS, type LockedCalls } from './locked-calls.ts'
import { once, readRecord } from './record-rows.ts'
import { sendBatches } from './send-batches.ts'
import type { StoreContext } from './store-context.ts'

/** How soon a caller asks again about a record that somebody's transaction keeps locked, in ms. */
const ASK_AGAIN_MS = 250

/**
 * How long a claim that is alone waits for whoever creates its record, in ms: longer than another store takes to commit
 * on a busy machine, so that the duplicate is counted.
 */
const LONE_LOCK_MS = 250

/**
 * The answer while somebody's transaction has claimed the key and not yet committed: whoever that is runs it, and what
 * became of it is known when he has ended.
 */
const LOCKED: ClaimReply = { state: 'running', attempt: 1, remainingMs: ASK_AGAIN_MS }

/**
 * Makes the fast way of claiming: one statement grants all fresh keys of a batch and reads what stands in the way of
 * the others. What needs a change of an existing record goes the slow way.
 */
export function claimCalls(
  context: StoreContext,
  locked: LockedCalls,
  alwaysSlowly: boolean,
): Gatherer<ClaimRequest, ClaimReply> {
  const { statements, driver } = context
  const slowly = (request: ClaimRequest): Promise<ClaimReply> =>
    locked.submit(request.id.digest, (found, now) => transitions.claim(found, request, now), LOCKED)
  const ask = async (batch: readonly Waiting<ClaimRequest, ClaimReply>[]) => {
    try {
      const requests = batch.map((one) => one.ask)
      const lockTimeoutMs = batch.length > 1 ? BATCH_LOCK_MS : LONE_LOCK_MS
      return await context.run(statements.claim, claimValues(requests, lockTimeoutMs))
    } catch (error) {
      if (batch.length > 1 || !isLockTimeout(error)) throw error
      return undefined
    }
  }
  const fast = sendBatches<ClaimRequest, ClaimReply>(context, async (batch) => {
    await context.ready()
    const answer = await ask(batch)
    if (answer === undefined) {
      for (const one of batch) one.resolve(LOCKED)
      return
    }
    const waiting = new Map(batch.map((one) => [one.key, one]))
    for (const row of answer.rows) {
      const one = waiting.get(row[0] ?? '')
      if (one === undefined) continue
      const granted = row[2] ?? null
      const settle = granted === null ? settleFound(row, one) : settleFresh(Number(granted), one)
      if (settle) waiting.delete(one.key)
    }
    // Those that change a record, or whose record came or went while the statement ran.
    for (const { ask: request, resolve, reject } of waiting.values()) slowly(request).then(resolve, reject)
  })
  const settleFound = (row: TextRow, { ask: request, resolve, reject }: ClaimWaiting): boolean => {
    try {
      const { reply, write } = transitions.claim(
        readRecord(row[3] ?? '', driver.where),
        request,
        Number(row[1]),
      )
      if (write) return false
      resolve(reply)
    } catch (error) {
      reject(error)
    }
    return true
  }
  return {
    idle: fast.idle,
    call: (digest, request) =>
      !alwaysSlowly && fitsColumns(request) ? fast.call(digest, request) : slowly(request),
  }
}

type ClaimWaiting = Waiting<ClaimRequest, ClaimReply>

function settleFresh(fence: number, { ask: { id, owner }, resolve }: ClaimWaiting): boolean {
  resolve({ state: 'claimed', claim: { id, owner, fence, attempt: 1 }, takenOver: false, steps: [] })
  return true
}

/** Whether the columns hold scope and key as they are. */
export function fitsColumns({ id }: Pick<ClaimRequest, 'id'>): boolean {
  return fitsColumn(id.scope) && fitsColumn(id.key)
}

/** The parameters of the statement `claim`. */
export function claimValues(
  requests: readonly ClaimRequest[],
  lockTimeoutMs: number = BATCH_LOCK_MS,
): PgValue[] {
  return [
    String(lockTimeoutMs),
    textArray(requests.map(({ id }) => id.digest)),
    textArray(once(requests.map(({ id }) => id.scope))),
    textArray(requests.map(({ id }) => id.key)),
    textArray(requests.map(({ fingerprint }) => fingerprint ?? null)),
    textArray(once(requests.map(({ onCrash }) => onCrash))),
    textArray(requests.map(({ owner }) => owner)),
    plainArray(once(requests.map(({ leaseMs }) => leaseMs))),
    plainArray(once(requests.map(({ retentionMs }) => retentionMs))),
  ]
}
