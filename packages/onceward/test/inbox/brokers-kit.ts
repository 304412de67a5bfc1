/** What tests of the wrappers share: an inbox on SQLite whose effects can be counted. */

import type { SqliteHandle } from '../../src/drivers/sqlite/index.ts'
import { openSqlite } from '../../src/drivers/sqlite/index.ts'
import { createInbox, type Inbox, type InboxOptions, type InboxOutcome } from '../../src/inbox/index.ts'

/** An inbox in memory with a table of effects. */
export async function sqliteInbox(options: Partial<InboxOptions> = {}) {
  const db = openSqlite(':memory:')
  const inbox = createInbox<SqliteHandle>({ db, consumer: 'billing', ...options })
  await inbox.migrate()
  db.exec('CREATE TABLE effects (place TEXT)')
  const outcomes: string[] = []
  return {
    inbox,
    /** What became of each delivery, in order. */
    outcomes,
    /** The inbox, with `outcomes` kept and something done after each commit: a crash, for one. */
    watched(afterCommit: () => unknown = () => {}): Inbox<SqliteHandle> {
      return {
        ...inbox,
        async process<T>(message: string, handler: (tx: SqliteHandle) => T | Promise<T>) {
          const outcome: InboxOutcome<T> = await inbox.process(message, handler)
          outcomes.push(outcome.outcome)
          await afterCommit()
          return outcome
        },
      } as Inbox<SqliteHandle>
    },
    write: (tx: SqliteHandle, place: string) => {
      tx.prepare('INSERT INTO effects (place) VALUES (?)').run(place)
    },
    effects: () =>
      (db.prepare('SELECT place FROM effects ORDER BY place').all() as { place: string }[]).map(
        ({ place }) => place,
      ),
    async close() {
      await inbox.close()
      db.close()
    },
  }
}
