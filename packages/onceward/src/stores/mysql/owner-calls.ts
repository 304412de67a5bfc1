import type { Claim, Outcome } from '../../core/operation.ts'
import type { Atomically } from '../../core/transition-port.ts'
import * as transitions from '../../core/transitions.ts'
import { asciiJson, ownStatement, toAsciiJson } from '../../drivers/mysql/index.ts'
import { gatherer, outcomeColumns, type Waiting } from '../../drivers/sql/index.ts'
import { inPackets, type Packet } from './packets.ts'
import { COMPLETE, RENEW } from './record-statements.ts'
import type { StoreContext } from './store-context.ts'

interface Completion {
  readonly claim: Claim
  readonly outcome: Outcome
  readonly retentionMs: number
}

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

  const completeExactly = ({ ask, resolve, reject }: Waiting<Completion, boolean>) => {
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
      let packets: ReturnType<typeof inPackets>
      try {
        packets = inPackets(
          batch.map(({ ask }) => completeRow(ask.claim, ask.outcome, ask.retentionMs)),
          context.maxPacket(),
        )
      } catch {
        // One of them is too large for the server: each hears for itself.
        for (const call of batch) completeExactly(call)
        return
      }
      let affected = 0
      for (const { json, payload } of packets) {
        const result = await ownStatement(context, (session) => session.query(COMPLETE, [json, payload]))
        affected += result.affected
      }
      for (const call of batch) {
        if (affected !== batch.length) completeExactly(call)
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

/** A completion as `COMPLETE` reads it. */
export function completeRow({ id, owner, fence }: Claim, outcome: Outcome, retentionMs: number): Packet {
  const fields = [id.digest, owner, fence, retentionMs]
  if (outcome.kind === 'value') return { fields: [...fields, null], payload: outcome.value }
  const { detail, payload } = outcomeColumns(outcome)
  return { fields: [...fields, toAsciiJson(detail)], payload }
}
