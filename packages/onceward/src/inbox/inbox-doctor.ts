import type { Finding } from '../core/store.ts'

/** What the doctor looks at. */
export interface InboxFacts {
  readonly consumer: string
  readonly retentionMs: number
  /** The longest time from the first to the last delivery of a message. */
  readonly producerRetryMs?: number
  /** What the database tells: `oldest`, `now`, `dead`. */
  readonly row: Readonly<Record<string, unknown>>
}

/** So far behind may purging be. */
const LATE_MS = 86_400_000

/** The findings, each with its mend. */
export function inboxFindings(facts: InboxFacts): readonly Finding[] {
  return [retention(facts), purged(facts), dead(facts)]
}

function retention({ retentionMs, producerRetryMs, consumer }: InboxFacts): Finding {
  const check = 'retention'
  if (producerRetryMs === undefined)
    return {
      level: 'warn',
      check,
      message: `"${consumer}" remembers ids for ${span(retentionMs)}; whether that is enough nobody can tell: give the longest time for which the producer sends again, as producerRetryMs`,
    }
  if (retentionMs > producerRetryMs)
    return {
      level: 'ok',
      check,
      message: `ids are remembered for ${span(retentionMs)}, longer than the producer sends again`,
    }
  return {
    level: 'fail',
    check,
    message: `"${consumer}" forgets an id after ${span(retentionMs)}, and the producer may send it again for ${span(producerRetryMs)}: it would be processed twice. Raise retentionMs above that`,
  }
}

function purged({ row, retentionMs }: InboxFacts): Finding {
  const check = 'purge'
  const oldest = row['oldest']
  const lateMs =
    oldest === null || oldest === undefined ? 0 : Number(row['now']) - Number(oldest) - retentionMs
  if (lateMs <= LATE_MS) return { level: 'ok', check, message: 'what is past its retention is deleted' }
  return {
    level: 'warn',
    check,
    message: `the oldest id is ${span(lateMs)} past its retention, so the table grows; call inbox.purge() now and then, or leave autoPurge on`,
  }
}

function dead({ row }: InboxFacts): Finding {
  const count = Number(row['dead'] ?? 0)
  if (count === 0) return { level: 'ok', check: 'dead', message: 'no message is dead' }
  return {
    level: 'warn',
    check: 'dead',
    message: `${count} ${count === 1 ? 'message is' : 'messages are'} dead; look at inbox.failures(), and redrive what is mended`,
  }
}

function span(ms: number): string {
  for (const [unit, each] of [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['min', 60_000],
    ['s', 1000],
  ] as const)
    if (ms >= each) return `${Math.round((ms / each) * 10) / 10} ${unit}`
  return `${ms} ms`
}
