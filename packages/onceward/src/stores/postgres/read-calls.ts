import type { OperationRecord } from '../../core/operation.ts'
import { isExpired } from '../../core/transitions.ts'
import { textArray } from '../../drivers/pg/index.ts'
import type { Gatherer, Waiting } from '../../drivers/sql/index.ts'
import { readRecord } from './record-rows.ts'
import { sendBatches } from './send-batches.ts'
import type { StoreContext } from './store-context.ts'

/**
 * Makes the way of reading records: one statement for a batch, which takes no lock. Whoever asks for the same record at the
 * same time is answered by the same row, each with a copy of its own.
 */
export function readCalls(context: StoreContext): Gatherer<undefined, OperationRecord | undefined> {
  const { where } = context.driver
  const send = async (batch: readonly Waiting<undefined, OperationRecord | undefined>[]) => {
    await context.ready()
    const digests = [...new Set(batch.map((one) => one.key))]
    const { rows } = await context.run(context.statements.read, [textArray(digests)])
    const byDigest = new Map(rows.map((row) => [row[0], row]))
    for (const { key, resolve, reject } of batch) {
      const row = byDigest.get(key)
      if (row === undefined) {
        resolve(undefined)
        continue
      }
      try {
        const record = readRecord(row[2] ?? '', where)
        resolve(isExpired(record, Number(row[1])) ? undefined : record)
      } catch (error) {
        reject(error)
      }
    }
  }
  return sendBatches(context, send, { shared: true })
}
