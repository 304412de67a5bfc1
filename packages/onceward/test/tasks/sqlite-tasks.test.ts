/** What only SQLite has to prove: its partial indexes are used where a statement repeats their conditions. */
import { expect, it } from 'vitest'
import { systemRandom } from '../../src/core/system.ts'
import { openDatabase } from '../../src/drivers/database/index.ts'
import { openSqlite } from '../../src/drivers/sqlite/index.ts'
import { taskLedger } from '../../src/tasks/task-ledger.ts'

it('looks for what runs, is due or is over by an index, however many tasks there are', async () => {
  const handle = openSqlite(':memory:')
  const database = openDatabase(handle, {}, 'a test')
  await database.migrate()
  const { work, reads } = taskLedger(database, systemRandom)
  const plans: [string, { readonly text: string }, readonly (string | number)[], string][] = [
    ['lapsed', work.lapsed, [5], 'onceward_tasks_by_state'],
    ['mine', work.mine, ['w'], 'onceward_tasks_by_state'],
    ['lapsedCount', reads.lapsedCount, [], 'onceward_tasks_by_state'],
    ['due', work.due, ['work', 5], 'onceward_tasks_due'],
    ['purge', reads.purge, ['done', 5, 5], 'onceward_tasks_finished'],
  ]
  for (const [name, { text }, values, index] of plans) {
    const steps = handle.prepare(`EXPLAIN QUERY PLAN ${text}`).all(...values) as { readonly detail: string }[]
    const plan = steps.map(({ detail }) => detail).join('; ')
    expect(plan, name).toMatch(new RegExp(`SEARCH o USING (COVERING )?INDEX ${index} \\(`))
    expect(plan, name).not.toMatch(/SCAN o\b/)
  }
  handle.close()
})
