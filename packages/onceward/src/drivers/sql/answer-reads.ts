import type { OperationRecord } from '../../core/operation.ts'
import { isExpired } from '../../core/transitions.ts'
import type { Waiting } from './gather.ts'

/** A record as it was read, and the time of its database, in ms. */
export interface ReadRecord {
  readonly record: OperationRecord
  readonly now: number
}

/**
 * Answers all who have asked for records, each with a copy of its own: `undefined` for one that is not there or is over. What
 * `read` throws of a row is thrown to those who asked for it alone.
 */
export function answerReads<Row>(
  batch: readonly Waiting<undefined, OperationRecord | undefined>[],
  rows: ReadonlyMap<unknown, Row>,
  read: (row: Row) => ReadRecord,
): void {
  for (const { key, resolve, reject } of batch) {
    const row = rows.get(key)
    if (row === undefined) {
      resolve(undefined)
      continue
    }
    try {
      const { record, now } = read(row)
      resolve(isExpired(record, now) ? undefined : record)
    } catch (error) {
      reject(error)
    }
  }
}
