import { OncewardError } from '../../core/errors.ts'
import type { Claim, Outcome } from '../../core/operation.ts'
import type { ClaimReply, ClaimRequest, TransactionalStore } from '../../core/store.ts'
import * as transitions from '../../core/transitions.ts'
import { joining } from '../../drivers/adapt/index.ts'
import { asciiJson, mysqlFailure, type UserTransaction, withLockTimeout } from '../../drivers/mysql/index.ts'
import type { SqlSession } from '../../drivers/sql/index.ts'
import { conflictOf } from '../../drivers/sql/index.ts'
import { freshRow, granted } from './claim-calls.ts'
import { type Completed, ownTransactions } from './own-transactions.ts'
import { completing } from './owner-calls.ts'
import { assertFits } from './packets.ts'
import { CLAIM_OR_LOCK } from './record-statements.ts'
import type { StoreContext } from './store-context.ts'

/** A claim that took longer than this may have waited for another transaction, in ms. */
const MAY_HAVE_WAITED_MS = 5

/** After how long another call makes sense when the lock of a key was not to be had, in ms. */
const ASK_AGAIN_MS = 100

/** Makes the transaction methods of a store. */
export function storeTransactions<Tx>(
  context: StoreContext,
  ready: () => Promise<void>,
): TransactionalStore<Tx> {
  const { driver, table } = context
  const own = ownTransactions(context)
  const failure = (error: unknown) => meaningOf(error, driver.where)
  const joined = joining('mysql', { failure, random: context.random })
  /** What was granted inside the transactions of callers, to notice when one of them was undone under its work. */
  const grants = new WeakSet<Claim>()

  /** Runs `body` on the session of a handle; errors become ours. */
  const inside = async <T>(
    tx: Tx,
    body: (session: SqlSession, transaction: UserTransaction<Completed[]> | undefined) => Promise<T>,
  ): Promise<T> => {
    const transaction = own.of(tx)
    const session = transaction?.session ?? joined.sessionOf(tx)
    try {
      return await body(session, transaction)
    } catch (error) {
      throw failure(error)
    }
  }

  const claimOn = async (session: SqlSession, request: ClaimRequest): Promise<ClaimReply> => {
    const records = table.locked(session)
    const { digest } = request.id
    const startedAt = context.clock.monotonic()
    const result = await session.query(CLAIM_OR_LOCK, [asciiJson([freshRow(request)])])
    const fence = Number(result.insertId ?? 0)
    const waited = context.clock.monotonic() - startedAt > MAY_HAVE_WAITED_MS
    if (fence > 0 && !waited) return granted(request, fence)
    const at = (await records.lock([digest])).get(digest)
    if (at && 'fault' in at) throw at.fault
    const now = await records.now()
    // Created here, but with the time of before the wait, in which another may have had a claim that was rolled back.
    const isFresh = fence > 0 && at?.record.fence === fence
    const { write, reply } = transitions.claim(isFresh ? undefined : at?.record, request, now)
    if (write) await records.write([{ before: at?.record, after: write }])
    return reply
  }

  return {
    transaction: async (body) => {
      await ready()
      return own.run((handle) => body(handle as Tx))
    },
    assertInTransaction: (tx) => (own.of(tx) ? undefined : joined.assertInTransaction(tx)),
    savepoint: (tx, body) => joined.savepoint(tx, body),
    claimIn: (tx, request) =>
      inside(tx, async (session, transaction) => {
        await ready()
        assertFits('owner', request.owner)
        assertFits('fingerprint', request.fingerprint)
        const reply = transaction
          ? await claimOn(session, request)
          : await withLockTimeout(session, context.lockTimeoutMs, () => claimOn(session, request))
        if (reply.state === 'claimed') grants.add(reply.claim)
        return reply
      }),
    completeIn: (tx, claim, outcome, retentionMs) =>
      inside(tx, async (session, transaction) => {
        const done = await completeOn(context, session, claim, outcome, retentionMs)
        // What was granted in this transaction is locked by it: only with the transaction itself it can be gone.
        if (!done && grants.has(claim)) {
          if (transaction) transaction.undone = true
          throw new OncewardError(
            'CLAIM_LOST',
            'the transaction was undone under its work, which went on; let errors of the database through',
            { effect: transaction ? 'none' : 'unknown' },
          )
        }
        if (done) transaction?.notes.push({ claim, retentionMs })
        return done
      }),
  }
}

async function completeOn(
  { table, maxPacket }: StoreContext,
  session: SqlSession,
  claim: Claim,
  outcome: Outcome,
  retentionMs: number,
): Promise<boolean> {
  const { digest } = claim.id
  for (const { text, values, whenAll } of completing([{ claim, outcome, retentionMs }], maxPacket())) {
    const { affected } = await session.query(text, values)
    if (affected === whenAll) return true
  }
  const records = table.locked(session)
  const at = (await records.lock([digest])).get(digest)
  if (at === undefined) return false
  if ('fault' in at) throw at.fault
  const { write, reply } = transitions.complete(at.record, claim, outcome, retentionMs, await records.now())
  if (write) await records.write([{ before: at.record, after: write }])
  return reply
}

/** What an error inside a transaction means. One that waited in vain for another transaction may ask again. */
function meaningOf(error: unknown, where: string): unknown {
  if (conflictOf(error) !== 'lock-timeout') return mysqlFailure(error, where)
  return new OncewardError(
    'IN_PROGRESS',
    'another transaction has claimed this key and has not ended yet; ask again for its outcome',
    { cause: error, effect: 'none', retryAfterMs: ASK_AGAIN_MS },
  )
}
