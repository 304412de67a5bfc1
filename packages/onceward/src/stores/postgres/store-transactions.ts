import { OncewardError } from '../../core/errors.ts'
import type { Claim, Outcome } from '../../core/operation.ts'
import type { ClaimReply, ClaimRequest, TransactionalStore } from '../../core/store.ts'
import * as transitions from '../../core/transitions.ts'
import { joining } from '../../drivers/adapt/index.ts'
import {
  assertUsable,
  backOff,
  CommitFailed,
  isConflict,
  isLockTimeout,
  isRefusal,
  pgFailure,
  type Run,
  runIn,
  serverFacts,
} from '../../drivers/pg/index.ts'
import { sqlStateOf } from '../../drivers/sql/index.ts'
import { claimValues, fitsColumns } from './claim-calls.ts'
import { decideLocked, type Undecided } from './decide-locked.ts'
import type { Ended } from './locked-calls.ts'
import { becameOf } from './lost-commit.ts'
import { completionValues } from './owner-calls.ts'
import { readRecord } from './record-rows.ts'
import { closedError, type StoreContext } from './store-context.ts'
import { wholeMs, wholeRequest } from './whole-request.ts'

/** What else the transactions of a store need. */
export interface TransactionParts {
  readonly context: StoreContext
  /** Is told what a transaction of the store itself has ended. */
  onEnded(ended: readonly Ended[]): void
}

/** What the store has done in one transaction, so that a lost commit can be asked about. */
export interface Touched {
  readonly claims: Map<string, Claim>
  readonly ended: Map<string, Claim>
}

/** A transaction that is joined. */
interface Joined {
  readonly run: Run
  /** Present when the store itself runs the transaction. */
  readonly touched?: Touched
}

/** Makes the transaction methods of a store. */
export function storeTransactions<Tx>(parts: TransactionParts): TransactionalStore<Tx> {
  const { context } = parts
  const { driver, settings, statements } = context
  const own = new WeakMap<object, Touched>()
  let checked = false

  const joined = joining('postgres', {
    failure: (error) => pgFailure(error, driver.where),
    random: settings.random,
  })
  const joinedBy = (tx: Tx): Joined => {
    const touched = isObject(tx) ? own.get(tx) : undefined
    return { run: runIn(joined.sessionOf(tx)), ...(touched ? { touched } : {}) }
  }
  const placeOf = (run: Run) =>
    ({ run, statements, lockTimeoutMs: settings.lockTimeoutMs, where: driver.where, joined: true }) as const
  const decide = async <Reply>(run: Run, one: Undecided): Promise<Reply> => {
    const decided = (await decideLocked(placeOf(run), [one])).get(one.digest)
    if (decided && 'reply' in decided) return decided.reply as Reply
    throw decided?.error
  }
  /** What goes wrong inside a transaction is undone with it. */
  const inside = async <T>({ run, touched }: Joined, body: () => Promise<T>): Promise<T> => {
    try {
      if (context.isClosed()) throw closedError(context)
      // By the transaction's own connection: the pool may have no other.
      if (!checked && touched === undefined)
        assertUsable(await serverFacts(run, settings.schema), driver.where)
      checked = true
      return await body()
    } catch (error) {
      throw isLockTimeout(error) ? stillInProgress(error) : pgFailure(error, driver.where)
    }
  }
  const claimIn = async ({ run, touched }: Joined, request: ClaimRequest): Promise<ClaimReply> => {
    const { id, owner } = request
    if (fitsColumns(request)) {
      const { rows } = await run(statements.claim, claimValues([request], settings.lockTimeoutMs))
      const [, now, granted, found] = rows[0] ?? []
      if (granted) {
        const claim = { id, owner, fence: Number(granted), attempt: 1 }
        return { state: 'claimed', claim, takenOver: false, steps: [] }
      }
      if (found && touched === undefined) {
        // In somebody else's transaction, which may go on for long, a lock is taken only where something is granted.
        const record = readRecord(found, driver.where)
        const { reply, write } = transitions.claim(record, { ...request, again: true }, Number(now))
        if (!write) return reply
      }
    }
    return decide(run, {
      digest: id.digest,
      step: (record, now) => transitions.claim(record, request, now),
    })
  }
  const completeIn = async (
    { run }: Joined,
    claim: Claim,
    outcome: Outcome,
    retentionMs: number,
  ): Promise<boolean> => {
    const values = completionValues([{ claim, outcome, retentionMs }], settings.lockTimeoutMs)
    const { rows } = await run(statements.complete, values)
    if (rows.length === 1) return true
    return decide(run, {
      digest: claim.id.digest,
      step: (found, now) => transitions.complete(found, claim, outcome, retentionMs, now),
    })
  }

  return {
    async transaction<T>(body: (tx: Tx) => T | Promise<T>): Promise<T> {
      for (let attempt = 0; ; attempt++) {
        if (context.isClosed()) throw closedError(context)
        await context.ready().catch((error: unknown) => {
          throw pgFailure(error, driver.where)
        })
        const touched: Touched = { claims: new Map(), ended: new Map() }
        let ended: { readonly value: T } | { readonly thrown: unknown } | undefined
        try {
          const value = await driver.transaction(async ({ handle }) => {
            own.set(handle, touched)
            try {
              const answer = await body(handle as Tx)
              ended = { value: answer }
              return answer
            } catch (thrown) {
              ended = { thrown }
              throw thrown
            } finally {
              own.delete(handle)
            }
          })
          parts.onEnded(endedIn(touched))
          return value
        } catch (error) {
          const outcome = await whatBecame(context, error, touched)
          if (outcome === 'committed' && ended && 'value' in ended) {
            parts.onEnded(endedIn(touched))
            return ended.value
          }
          if (outcome === 'unknown') throw unknownCommit(error, driver.where)
          // COMMIT checks deferred constraints, which are those of the work's own tables.
          if (error instanceof CommitFailed && isViolation(error.cause)) throw error.cause
          if (!isConflict(error))
            throw ended && 'thrown' in ended && Object.is(ended.thrown, error)
              ? error
              : told(error, driver.where)
          if (attempt + 1 >= settings.transactionTries) throw told(error, driver.where)
        }
        await backOff(context, attempt)
      }
    },
    assertInTransaction: joined.assertInTransaction,
    savepoint: joined.savepoint,
    claimIn(tx, request) {
      const place = joinedBy(tx)
      return inside(place, async () => {
        const reply = await claimIn(place, wholeRequest(request))
        if (reply.state === 'claimed') place.touched?.claims.set(request.id.digest, reply.claim)
        return reply
      })
    },
    completeIn(tx, claim, outcome, retentionMs) {
      const place = joinedBy(tx)
      return inside(place, async () => {
        const accepted = await completeIn(place, claim, outcome, wholeMs(retentionMs))
        if (accepted) place.touched?.ended.set(claim.id.digest, claim)
        return accepted
      })
    },
  }
}

function isObject(value: unknown): value is object {
  return (typeof value === 'object' && value !== null) || typeof value === 'function'
}

/** Duplicates of a transaction wait inside it or look for its end by themselves: nobody else is told. */
function endedIn({ ended }: Touched): readonly Ended[] {
  return [...ended.keys()].map((digest) => ({ digest, contended: false }))
}

/** What a transaction that has failed has left behind. */
async function whatBecame(
  context: StoreContext,
  error: unknown,
  touched: Touched,
): Promise<'committed' | 'rolled back' | 'unknown'> {
  if (!(error instanceof CommitFailed) || isRefusal(error)) return 'rolled back'
  const claim = [...touched.ended.values(), ...touched.claims.values()][0]
  return claim === undefined ? 'unknown' : becameOf(context, claim)
}

/** Class 23: a constraint is violated. */
function isViolation(error: unknown): boolean {
  return sqlStateOf(error)?.startsWith('23') ?? false
}

function told(error: unknown, where: string): unknown {
  return pgFailure(error instanceof CommitFailed ? error.cause : error, where)
}

function unknownCommit(cause: unknown, where: string): OncewardError {
  return new OncewardError(
    'STORE_UNAVAILABLE',
    `${where}: the connection was lost during COMMIT and cannot be had again, so nobody knows whether the transaction ` +
      'took effect; ask again with the same key when the database is back: it then replays or runs',
    { cause, effect: 'unknown', retryAfterMs: 1000 },
  )
}

function stillInProgress(cause: unknown): OncewardError {
  return new OncewardError(
    'IN_PROGRESS',
    'another transaction has claimed this key and has not ended yet; ask again, or raise lockTimeoutMs',
    { cause, retryAfterMs: 1000 },
  )
}
