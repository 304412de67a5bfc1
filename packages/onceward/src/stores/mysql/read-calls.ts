import type { OperationRecord } from '../../core/operation.ts'
import { ownStatement } from '../../drivers/mysql/index.ts'
import { answerReads, type Gatherer, gatherer } from '../../drivers/sql/index.ts'
import type { StoreContext } from './store-context.ts'

/**
 * Makes the way of reading records: one statement for a batch, which takes no lock. Whoever asks for the same record at the
 * same time is answered by the same row, each with a copy of its own.
 */
export function readCalls(context: StoreContext): Gatherer<undefined, OperationRecord | undefined> {
  const { table, maxBatch, maxInFlight } = context
  return gatherer<undefined, OperationRecord | undefined>({
    maxBatch,
    maxInFlight,
    shared: true,
    async send(batch) {
      const digests = [...new Set(batch.map((one) => one.key))]
      const byDigest = await ownStatement(context, (session) => table.rows(session, digests))
      answerReads(batch, byDigest, (row) => ({ record: table.recordOf(row), now: Number(row['now']) }))
    },
  })
}
