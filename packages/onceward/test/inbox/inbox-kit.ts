/** What tests of inboxes share: effects that are written the way a user's handler writes them, on every database. */
import { isPromise } from '../../src/core/is-promise.ts'
import { createInbox, type Inbox, type InboxOptions } from '../../src/inbox/index.ts'
import type { DatabaseRig } from '../databases/on-each-database.ts'

/** Runs a statement on a handle of any driver: at once on SQLite. */
export function writeOn(tx: unknown, text: string): unknown {
  const handle = tx as {
    exec?(text: string): unknown
    unsafe?(text: string): unknown
    query?(text: string): unknown
  }
  const run = handle.exec ?? handle.unsafe ?? handle.query
  if (!run) throw new Error('a handle of no known driver')
  return run.call(tx, text)
}

/** Goes on after a statement: at once where it was at once. */
export function andThen(answer: unknown, next: () => unknown): unknown {
  return isPromise(answer) ? answer.then(next) : next()
}

/** Inboxes on one database, and the table their handlers write to. */
export async function inboxesOn(rig: DatabaseRig) {
  await rig.sql('CREATE TABLE effects (place VARCHAR(80), note VARCHAR(200))')
  const opened: Inbox[] = []
  return {
    inbox(options: Partial<InboxOptions> = {}): Inbox {
      const inbox = createInbox({ db: rig.open(), consumer: 'billing', ...options })
      opened.push(inbox)
      return inbox
    },
    /** A handler that leaves one row. */
    effect: (place: string) => (tx: unknown) =>
      writeOn(tx, `INSERT INTO effects (place, note) VALUES ('${place}', 'x')`),
    /** How often each place was written. */
    async effects(): Promise<Record<string, number>> {
      const rows = await rig.sql('SELECT place, count(*) AS times FROM effects GROUP BY place')
      return Object.fromEntries(rows.map(({ place, times }) => [String(place), Number(times)]))
    },
    close: () => Promise.all(opened.splice(0).map((inbox) => inbox.close())),
  }
}
