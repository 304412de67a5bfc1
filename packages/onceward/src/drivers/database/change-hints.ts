import { notifications, type PgDriver, type Run } from '../pg/index.ts'
import type { DatabaseSettings } from './database-options.ts'
import type { ChangeHints } from './sql-database.ts'

/** Hints over LISTEN/NOTIFY. They may be lost, and behind a pooler in transaction mode they are. */
export function changeHints(parts: {
  readonly driver: PgDriver
  readonly settings: DatabaseSettings
  readonly run: Run
  /** A fixed word with a checked schema. */
  readonly channel: string
}): ChangeHints {
  const { driver, settings, run, channel } = parts
  const listening = new Set<() => void>()
  const push = notifications({ listener: driver, channel, run, settings }, () => {
    for (const onHint of listening) onHint()
  })
  return {
    listen(onHint) {
      listening.add(onHint)
      push.needed()
      return {
        stop() {
          listening.delete(onHint)
          if (listening.size === 0) push.unneeded()
        },
      }
    },
    tell: () => push.tell(['changed']),
    close: () => push.close(),
  }
}
