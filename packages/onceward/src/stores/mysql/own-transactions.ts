import { jittered } from '../../core/jittered.ts'
import type { Claim } from '../../core/operation.ts'
import { pause } from '../../core/pause.ts'
import { ROLLBACK, type UserTransactions, userTransactions } from '../../drivers/mysql/index.ts'
import type { StoreContext } from './store-context.ts'

/** What was completed in a transaction: by these keys it can be found out whether it was committed. */
export interface Completed {
  readonly claim: Claim
  readonly retentionMs: number
}

/** Makes the transactions that a store begins. See `TransactionalStore.transaction`. */
export function ownTransactions(context: StoreContext): UserTransactions<Completed[]> {
  const { driver, timers, random } = context

  /**
   * Looks whether a transaction was committed whose COMMIT was not confirmed. Its rows are locked until it has ended
   * either way, and this look waits for them.
   */
  const findOut = async (completed: readonly Completed[]): Promise<'committed' | 'undone' | 'unknown'> => {
    const [first] = completed
    if (first === undefined) return 'unknown'
    const { claim, retentionMs } = first
    const startedAt = context.clock.monotonic()
    for (let pauseMs = 20; ; pauseMs *= 2) {
      const record = await lookAt(claim.id.digest).catch(() => 'unknown' as const)
      const spentMs = context.clock.monotonic() - startedAt
      if (record !== 'unknown') {
        if (record?.state === 'done' && record.owner === claim.owner && record.fence === claim.fence)
          return 'committed'
        // A record that has been forgotten meanwhile proves nothing.
        return retentionMs > spentMs * 2 ? 'undone' : 'unknown'
      }
      if (spentMs + pauseMs > context.queryTimeoutMs) return 'unknown'
      await pause({ timers }, jittered(random, pauseMs))
    }
  }
  const lookAt = (digest: string) =>
    driver.use(async (session) => {
      await session.query('SET TRANSACTION ISOLATION LEVEL READ COMMITTED')
      await session.query('START TRANSACTION')
      const at = (await context.table.locked(session).lock([digest])).get(digest)
      await session.query(ROLLBACK)
      if (at && 'fault' in at) throw at.fault
      return at?.record
    })

  return userTransactions<Completed[]>({
    driver,
    timers,
    random,
    lockTimeoutMs: context.lockTimeoutMs,
    newNotes: () => [],
    onCommitted(completed) {
      for (const { claim } of completed) context.onChanged(claim.id.digest)
    },
    findOut,
  })
}
