import type { HistoryEntry, OperationRecord } from '../../core/operation.ts'

/**
 * The history of a record that was claimed once, and has ended with a value or runs: most have no other, so it is not
 * stored, but told from the record.
 */
export function plainHistory(
  record: Pick<OperationRecord, 'state' | 'fence' | 'createdAt' | 'updatedAt'>,
): readonly HistoryEntry[] {
  const { fence, createdAt, updatedAt } = record
  const claimed: HistoryEntry = { at: createdAt, event: 'claimed', attempt: 1, fence }
  if (record.state === 'running') return [claimed]
  return [claimed, { at: updatedAt, event: 'completed', attempt: 1, fence }]
}

/** Whether the history of a record is its {@link plainHistory}, to the last detail. */
export function hasPlainHistory(record: OperationRecord): boolean {
  const { history, state, createdAt, updatedAt } = record
  const [claimed, completed] = history
  if (record.attempt !== 1 || !isPlain(claimed, 'claimed', createdAt, record.fence)) return false
  if (history.length === 1) return state === 'running'
  return history.length === 2 && state === 'done' && isPlain(completed, 'completed', updatedAt, record.fence)
}

function isPlain(
  entry: HistoryEntry | undefined,
  event: HistoryEntry['event'],
  at: number,
  fence: number,
): boolean {
  return (
    entry?.event === event &&
    entry.at === at &&
    entry.attempt === 1 &&
    entry.fence === fence &&
    entry.note === undefined
  )
}
