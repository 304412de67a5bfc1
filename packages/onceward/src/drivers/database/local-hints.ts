import type { ChangeHints } from './sql-database.ts'

/** Hints within one process, where the server has no way to tell others. */
export function localHints(): ChangeHints {
  const listening = new Set<() => void>()
  return {
    listen(onHint) {
      listening.add(onHint)
      return { stop: () => void listening.delete(onHint) }
    },
    tell() {
      for (const onHint of [...listening]) onHint()
    },
    async close() {
      listening.clear()
    },
  }
}
