import type { Claim } from '../../core/operation.ts'
import type { ClaimRequest } from '../../core/store.ts'
import { backOff, textArray } from '../../drivers/pg/index.ts'
import { claimValues, fitsColumns } from './claim-calls.ts'
import { readRecord } from './record-rows.ts'
import type { StoreContext } from './store-context.ts'

/**
 * Finds out what became of a transaction whose COMMIT was not confirmed, by the key of an operation in it.
 *
 * ```
 *   COMMIT sent ──✂── connection lost        the server: committed | still committing | never heard of it
 *        │
 *        └─ a new transaction claims the same key ─▶ waits until the other has ended
 *             ├─ the key is free      ─▶ it was not committed  (the probe is rolled back)
 *             ├─ our owner and fence  ─▶ it was committed
 *             └─ another's            ─▶ it was not committed, and somebody else came first
 * ```
 *
 * Limit: after `queryTimeoutMs` without an answer nobody knows.
 */
export async function becameOf(
  context: StoreContext,
  claim: Claim,
): Promise<'committed' | 'rolled back' | 'unknown'> {
  const { clock, queryTimeoutMs } = context.settings
  const giveUpAt = clock.monotonic() + queryTimeoutMs
  for (let attempt = 0; clock.monotonic() < giveUpAt; attempt++) {
    try {
      return (await isCommitted(context, claim)) ? 'committed' : 'rolled back'
    } catch {
      await backOff(context, attempt)
    }
  }
  return 'unknown'
}

async function isCommitted(context: StoreContext, claim: Claim): Promise<boolean> {
  const { driver, settings, statements } = context
  const { lockTimeoutMs } = settings
  let committed: boolean | undefined
  try {
    await driver.transaction(async ({ run }) => {
      const probe: ClaimRequest = {
        id: fitsColumns(claim) ? claim.id : { ...claim.id, scope: 'probe', key: 'probe' },
        owner: settings.random.nonce(),
        leaseMs: 1,
        retentionMs: 1,
        onCrash: 'rerun',
      }
      const { rows } = await run(statements.claim, claimValues([probe], lockTimeoutMs))
      if ((rows[0]?.[2] ?? null) !== null) {
        committed = false
      } else {
        const locked = await run(statements.lockIn, [String(lockTimeoutMs), textArray([claim.id.digest])])
        const row = locked.rows[0]
        const found = row?.[2] ? readRecord(row[2], driver.where) : undefined
        committed = found !== undefined && found.fence === claim.fence && found.owner === claim.owner
      }
      throw new ProbeEnded()
    })
  } catch (error) {
    if (!(error instanceof ProbeEnded)) throw error
  }
  if (committed === undefined) throw new TypeError('the probe has found nothing out')
  return committed
}

/** The probe must leave nothing behind. */
class ProbeEnded extends Error {}
