import type { Claim, Outcome } from '../../core/operation.ts'
import type { Atomically } from '../../core/transition-port.ts'
import * as transitions from '../../core/transitions.ts'
import { asciiJson, ownStatement, toAsciiJson, utf8 } from '../../drivers/mysql/index.ts'
import { gatherer, outcomeColumns, type SqlValue, type Waiting } from '../../drivers/sql/index.ts'
import { assertSize, inPackets, type Packet } from './packets.ts'
import { COMPLETE, COMPLETE_ALONE, RENEW } from './record-statements.ts'
import type { StoreContext } from './store-context.ts'

/** An operation to end. */
export interface Completion {
  readonly claim: Claim
  readonly outcome: Outcome
  readonly retentionMs: number
}

type Call = Waiting<Completion, boolean>

/** What owners do all the time, many calls in one statement. */
export interface OwnerCalls {
  renew(claim: Claim, leaseMs: number): Promise<boolean>
  complete(claim: Claim, outcome: Outcome, retentionMs: number): Promise<boolean>
}

/**
 * Renewals and completions by one UPDATE for all. When it has changed every row it was to change, everybody is answered;
 * otherwise (a stale owner, a repeated call, a record with steps) `exactly` decides for each: what the UPDATE has done
 * already it finds done.
 */
export function ownerCalls(context: StoreContext, exactly: Atomically): OwnerCalls {
  const limits = { maxBatch: context.maxBatch, maxInFlight: context.maxInFlight }

  const renewExactly = ({ ask: [claim, leaseMs], resolve, reject }: Waiting<[Claim, number], boolean>) => {
    exactly(claim.id.digest, (found, now) => transitions.renew(found, claim, leaseMs, now)).then(
      resolve,
      reject,
    )
  }
  const renewals = gatherer<[Claim, number], boolean>({
    ...limits,
    async send(batch) {
      const rows = batch.map(({ ask: [{ id, owner, fence }, leaseMs] }) => [id.digest, owner, fence, leaseMs])
      const { affected } = await ownStatement(context, (session) => session.query(RENEW, [asciiJson(rows)]))
      for (const call of batch) {
        if (affected === batch.length) call.resolve(true)
        else renewExactly(call)
      }
    },
  })

  const completeExactly = ({ ask, resolve, reject }: Call) => {
    const { claim, outcome, retentionMs } = ask
    exactly(claim.id.digest, (found, now) =>
      transitions.complete(found, claim, outcome, retentionMs, now),
    ).then((accepted) => {
      // The UPDATE may have ended it already.
      if (accepted) context.onChanged(claim.id.digest)
      resolve(accepted)
    }, reject)
  }
  const completions = gatherer<Completion, boolean>({
    ...limits,
    async send(batch) {
      // Failures are rare, and their text has no bound: see COMPLETE.
      const isFast = ({ ask }: Call) => batch.length === 1 || ask.outcome.kind === 'value'
      const asked = batch.filter(isFast).map(({ ask }) => ask)
      let statements: readonly Completing[]
      let haveAll = true
      try {
        statements = completing(asked, context.maxPacket())
      } catch {
        // One of them is too large for the server: each hears for itself.
        for (const call of batch) completeExactly(call)
        return
      }
      for (const { text, values, whenAll } of statements) {
        const { affected } = await ownStatement(context, (session) => session.query(text, values))
        haveAll &&= affected === whenAll
      }
      for (const call of batch) {
        if (!haveAll || !isFast(call)) completeExactly(call)
        else {
          context.onChanged(call.key)
          call.resolve(true)
        }
      }
    },
  })

  return {
    renew: (claim, leaseMs) => renewals.call(claim.id.digest, [claim, leaseMs]),
    complete: (claim, outcome, retentionMs) =>
      completions.call(claim.id.digest, { claim, outcome, retentionMs }),
  }
}

/** A statement that ends operations, and the count of rows that tells that it has ended each of them. */
export interface Completing {
  readonly text: string
  readonly values: readonly SqlValue[]
  readonly whenAll: number
}

/**
 * The statements that end these, which are plain values where there are several.
 *
 * @throws `STORE_FULL` for one that is larger than `maxPacket`.
 */
export function completing(completions: readonly Completion[], maxPacket: number): readonly Completing[] {
  const [only] = completions
  if (only !== undefined && completions.length === 1) return [completingOne(only, maxPacket)]
  return inPackets(completions.map(completeRow), maxPacket).map(({ json, payload, rows }) => ({
    text: COMPLETE,
    values: [json, payload],
    whenAll: rows * 2,
  }))
}

function completingOne({ claim, outcome, retentionMs }: Completion, maxPacket: number): Completing {
  const { detail, payload } = ended(outcome)
  assertSize((detail?.length ?? 0) + (payload?.length ?? 0), maxPacket)
  const { id, owner, fence } = claim
  const values = [detail, payload, retentionMs, retentionMs, id.digest, utf8(owner), fence]
  return { text: COMPLETE_ALONE, values, whenAll: 1 }
}

/** A completion as `COMPLETE` reads it. */
function completeRow({ claim: { id, owner, fence }, outcome, retentionMs }: Completion): Packet {
  return { fields: [id.digest, owner, fence, retentionMs], payload: ended(outcome).payload }
}

/** The detail of a plain value follows from its length. */
function ended(outcome: Outcome): { readonly detail: string | null; readonly payload: Uint8Array | null } {
  if (outcome.kind === 'value') return { detail: null, payload: outcome.value }
  const { detail, payload } = outcomeColumns(outcome)
  return { detail: toAsciiJson(detail), payload }
}
