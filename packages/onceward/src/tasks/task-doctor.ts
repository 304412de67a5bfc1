import type { Finding } from '../core/store.ts'
import { taskCounts } from './listing.ts'
import type { TaskLedger } from './task-ledger.ts'
import { whole } from './task-record.ts'

/** For how long a due task may lie before it is told, in ms. */
const LATE_MS = 60_000

/** Looks for tasks that lie, and for what somebody has to decide. */
export async function doctorFindings(
  ledger: TaskLedger,
  handled: readonly string[],
): Promise<readonly Finding[]> {
  const { counts } = await taskCounts(ledger)
  const { rows } = await ledger.database.read({ statement: ledger.reads.lapsedCount, values: [] })
  const lapsed = rows[0] ? whole(rows[0], 'count') : 0
  const found: Finding[] = [{ level: 'ok', check: 'schema', message: 'the schema is up to date' }]
  for (const { actionType, state, count, oldestMs } of counts) {
    const action = JSON.stringify(actionType)
    if (state === 'pending' && oldestMs > LATE_MS) {
      const here = handled.includes(actionType)
        ? 'workers here handle them, so give them more concurrency'
        : 'no worker of this process handles them: run one that does, or cancel them'
      found.push({
        level: 'warn',
        check: 'pending',
        message: `${count} tasks of ${action} are pending, the first due for ${Math.round(oldestMs / 1000)} s; ${here}`,
      })
    }
    if (state === 'held') {
      found.push({
        level: 'warn',
        check: 'held',
        message: `${count} tasks of ${action} are held: find out what became of them, and resolve them`,
      })
    }
    if (state === 'dead') {
      found.push({
        level: 'warn',
        check: 'dead',
        message: `${count} tasks of ${action} are dead: mend what makes them fail, and redrive them`,
      })
    }
  }
  if (lapsed > 0) {
    found.push({
      level: 'warn',
      check: 'lapsed',
      message: `${lapsed} running tasks have lapsed and nobody has ended them; a running worker, or sweep(), does`,
    })
  }
  return found
}
