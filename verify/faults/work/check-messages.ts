import { type Blame, type CallStory, grouped, only, type Seen } from './call-stories.ts'
import type { WorkEvent } from './work-events.ts'

/** I10: what was committed is delivered, what was rolled back never is, and each message has one effect elsewhere. */
export function checkMessages(
  history: readonly WorkEvent[],
  calls: readonly CallStory[],
  blame: Blame,
): Seen {
  const delivered = only(history, 'delivered')
  const rows = only(history, 'row')
  const byRow = grouped(rows, ({ call }) => call)
  const byWriter = grouped(delivered, ({ body }) => (JSON.parse(body) as { readonly of: string }).of)
  for (const [call, same] of byRow) {
    if (same.length > 1) blame('I1', `the transaction of ${call} was committed ${same.length} times`)
    if (!byWriter.has(call)) blame('I10', `${call} was committed, and its event was never delivered`)
  }
  for (const [call, deliveries] of byWriter) {
    if (!byRow.has(call)) blame('I10', `${call} was not committed, and its event was delivered`)
    const ids = new Set(deliveries.map(({ id }) => id))
    if (ids.size > 1) blame('I10', `the event of ${call} was delivered under ${ids.size} ids`)
  }
  for (const [id, deliveries] of grouped(delivered, (one) => one.id)) {
    if (new Set(deliveries.map(({ body }) => body)).size > 1)
      blame('I10', `${id} was delivered with different payloads`)
  }
  const writes = calls.filter(({ asked }) => asked.about === 'write')
  for (const { asked, answered } of writes) {
    if (answered?.outcome === 'committed') {
      if (!byRow.has(asked.call)) blame('I2', `the acknowledged row of ${asked.call} is not there`)
      const [first] = byWriter.get(asked.call) ?? []
      if (first && first.id !== answered.id)
        blame('I10', `${asked.call} was told the id ${answered.id}, and ${first.id} was delivered`)
    }
    if (answered?.outcome === 'rolled-back' && byRow.has(asked.call))
      blame('I1', `the row of ${asked.call} is there, which was rolled back`)
  }
  checkEnds(history, blame)
  const ordered = checkOrder(writes, byWriter, blame)
  const inbox = checkInbox(history, calls, blame)
  return {
    committed: byRow.size,
    'rolled back': writes.filter(({ answered }) => answered?.outcome === 'rolled-back').length,
    'commits in doubt': writes.filter(({ asked, answered }) => !answered && byRow.has(asked.call)).length,
    deliveries: delivered.length,
    redeliveries: delivered.length - byWriter.size,
    'pairs in order': ordered,
    ...inbox,
  }
}

/** Of one key, what was acknowledged before another was begun comes first. Answers how many pairs that were. */
function checkOrder(
  writes: readonly CallStory[],
  byWriter: ReadonlyMap<string, readonly { readonly t: number; readonly id: string }[]>,
  blame: Blame,
): number {
  let pairs = 0
  const keyed = writes.filter(({ asked }) => 'item' in asked && asked.item !== '')
  for (const [key, same] of grouped(keyed, ({ asked }) => ('item' in asked ? asked.item : ''))) {
    const inTime = same.flatMap(({ asked, answered }) => {
      const [first] = byWriter.get(asked.call) ?? []
      const end = answered?.outcome === 'committed' ? answered.t : Number.POSITIVE_INFINITY
      return first ? [{ call: asked.call, begun: asked.t, end, first: first.t }] : []
    })
    for (const earlier of inTime) {
      for (const later of inTime) {
        if (earlier.end >= later.begun) continue
        pairs++
        if (earlier.first > later.first)
          blame(
            'I10',
            `of key ${key}, ${later.call} was delivered before ${earlier.call}, which was committed before it began`,
          )
      }
    }
  }
  return pairs
}

/** An event leaves the outbox when the attempt that has it was published, not before: the word of another one counts for nothing. */
function checkEnds(history: readonly WorkEvent[], blame: Blame): void {
  const published = grouped(only(history, 'delivered'), ({ id, attempt }) => `${id} ${attempt}`)
  for (const { id, attempt, at } of only(history, 'ended')) {
    const first = Math.min(...(published.get(`${id} ${attempt}`) ?? []).map((delivery) => delivery.at))
    if (first === Number.POSITIVE_INFINITY)
      blame('I6', `event ${id} left the outbox in attempt ${attempt}, which has published nothing`)
    else if (at < first - CLOCK_MS)
      blame('I6', `event ${id} left the outbox ${first - at} ms before attempt ${attempt} had published it`)
  }
}

/** How exactly the clocks of two processes can be compared, in ms. */
const CLOCK_MS = 3

/** Each delivered message has one effect. */
function checkInbox(history: readonly WorkEvent[], calls: readonly CallStory[], blame: Blame): Seen {
  const effects = grouped(only(history, 'inbox-row'), ({ message }) => message)
  const delivered = new Set(only(history, 'delivered').map(({ id }) => id))
  for (const [message, same] of effects) {
    if (same.length > 1)
      blame(
        'I10',
        `message ${message} has ${same.length} effects, by ${same.map(({ call }) => call).join(', ')}`,
      )
    if (!delivered.has(message)) blame('I10', `message ${message} has an effect, and was never delivered`)
  }
  for (const message of delivered)
    if (!effects.has(message)) blame('I10', `message ${message} was delivered, and has no effect`)
  const takes = calls.filter(({ asked }) => asked.about === 'take')
  let duplicates = 0
  for (const { asked, answered } of takes) {
    if (!answered || asked.about !== 'take') continue
    const fresh = (answered.value ?? '').split(' ').filter((id) => id !== '')
    duplicates += asked.items.length - fresh.length
    for (const message of fresh) {
      if (!effects.get(message)?.some(({ call }) => call === asked.call))
        blame('I2', `${asked.call} was told that it has processed ${message}, and the effect is not its own`)
    }
  }
  return {
    'effects of messages': effects.size,
    'duplicates at the inbox': duplicates,
    'handlers that failed': takes.filter(({ failed }) => failed?.own === true).length,
  }
}
