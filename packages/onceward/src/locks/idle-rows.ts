import type { Random } from '../core/clock.ts'

/** On average so many grants go by between two walks. */
const GRANTS = 256

/** How many rows one walk looks at. */
export const ROWS_OF_A_WALK = 1000

/** What walking over rows needs. */
export interface IdleRowsWalk {
  readonly random: Random
  isClosed(): boolean
  /**
   * Looks at {@link ROWS_OF_A_WALK} rows behind the key `after`, and deletes those that are idle. Answers the last key it has
   * seen; nothing at the end of the table.
   */
  walk(after: string): Promise<string | undefined>
}

/**
 * Forgets rows that nobody uses any more: now and then after a grant, about every 256th of any process, a piece of the table
 * is walked over in the order of its keys. So a table has a bounded share of idle rows, without an index on time that each
 * grant would have to write, and without a timer. A walk that fails is dropped: others come.
 */
export function idleRows({ random, isClosed, walk }: IdleRowsWalk): (granted: string) => void {
  let after: string | undefined
  let walking = false
  return (granted) => {
    if (walking || random.fraction() * GRANTS >= 1 || isClosed()) return
    walking = true
    walk(after ?? granted)
      .then((last) => {
        after = last ?? ''
      })
      .catch(() => {})
      .finally(() => {
        walking = false
      })
  }
}
