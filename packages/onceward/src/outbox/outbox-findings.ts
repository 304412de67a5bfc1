import type { Finding } from '../core/store.ts'
import type { OutboxStats } from './outbox-types.ts'

/** From what age on a pending event is a sign that no relay is at work, in ms. */
const OLD_MS = 5 * 60_000

/** What keeps events from being published. */
export function outboxFindings(stats: OutboxStats, stoppingDead: number, where: string): readonly Finding[] {
  const findings: Finding[] = []
  if (stats.oldestPendingMs > OLD_MS) {
    findings.push({
      level: 'warn',
      check: 'pending',
      message:
        `${where}: ${stats.pending} events are not published, the oldest for ${Math.round(stats.oldestPendingMs / 60_000)} minutes; ` +
        'start a relay for their topics, see whether the broker takes them, or redrive the dead ones before them',
    })
  }
  if (stats.dead > 0) {
    findings.push({
      level: 'warn',
      check: 'dead',
      message:
        `${where}: ${stats.dead} events are dead, and ${stoppingDead} of them hold up the later ones of their key; ` +
        "look at list({ state: 'dead' }), then redrive or discard them",
    })
  }
  if (findings.length > 0) return findings
  return [{ level: 'ok', check: 'outbox', message: `${where}: ${stats.pending} events wait to be published` }]
}
