import { after } from '../core/after.ts'
import { refuseUnknown, wholeNumber, written } from '../core/known-fields.ts'
import { systemClock, systemRandom, systemTimers } from '../core/system.ts'
import { uuids } from '../core/uuid.ts'
import { ask, DATABASE_FIELDS, openDatabase } from '../drivers/database/index.ts'
import { addStatement } from './add-statement.ts'
import { checkedEvent, type EventRow } from './checked-event.ts'
import { outboxCatalog } from './outbox-catalog.ts'
import type { Outbox, OutboxEvent, OutboxOptions } from './outbox-types.ts'
import { createRelay } from './relay.ts'
import { relayCalls } from './relay-calls.ts'
import { relaySettings } from './relay-settings.ts'
import type { Relay } from './relay-types.ts'
import { listText } from './sql-of.ts'

const FIELDS = ['db', 'maxPayloadBytes', 'retentionMs', 'hints', ...DATABASE_FIELDS]

/** What relays are woken on. */
const CHANNEL = 'onceward_outbox'

/** After how long an added event wakes relays, in ms: its transaction will mostly have been committed. */
const HINT_AFTER_MS = 20

/** The most that one statement adds: as many events, and as many bytes. */
const MAX_ROWS = 1000
const MAX_BYTES = 4 * 1024 * 1024

/**
 * Makes an outbox: events are written in the same transaction as the business data, and a relay publishes them afterwards.
 *
 * Guarantee: an event whose transaction has committed is published at least once, with the same id each time; one whose
 * transaction was rolled back never is. Events of one topic and key are published in the order of {@link Outbox.add}. Limit: a
 * relay that dies after the broker has an event, and before the database knows, publishes it again; consumers have to
 * recognise the id, with an inbox for example. Needs the tables of `migrate()`.
 *
 * @throws `TypeError` for options that make no sense, at once.
 * @example
 * import { createOutbox } from 'onceward/outbox'
 *
 * const outbox = createOutbox({ db: pool })
 * await client.query('BEGIN')
 * await client.query('INSERT INTO orders (id) VALUES ($1)', [order.id])
 * await outbox.add(client, { topic: 'orders', key: order.id, payload: { id: order.id, total: order.total } })
 * await client.query('COMMIT')
 */
export function createOutbox(options: OutboxOptions): Outbox {
  refuseUnknown('the options of createOutbox', options, FIELDS)
  const { db, maxPayloadBytes = 1024 * 1024, retentionMs = 0, hints: wantsHints = true, ...rest } = options
  if (typeof wantsHints !== 'boolean')
    throw new TypeError(`hints must be true or false, not ${written(wantsHints)}`)
  wholeNumber('maxPayloadBytes', maxPayloadBytes, 1)
  wholeNumber('retentionMs', retentionMs, 0)
  const { clock = systemClock, timers = systemTimers, random = systemRandom } = rest
  const database = openDatabase(db, rest, 'createOutbox')
  const { dialect } = database
  const hints = wantsHints ? database.hints(CHANNEL) : undefined
  const add = addStatement(database)
  const checking = { dialect, maxPayloadBytes, newId: uuids({ clock, random }, 'v7') }
  const catalog = outboxCatalog(database)
  const relays = new Set<Relay>()
  let cancelHint: (() => void) | undefined

  const hintSoon = () => {
    if (!hints || cancelHint) return
    const tell = () => {
      cancelHint = undefined
      hints.tell()
    }
    cancelHint = timers.after(HINT_AFTER_MS, tell, { background: true })
  }
  function addEvents(
    tx: unknown,
    events: readonly OutboxEvent[],
  ): readonly string[] | Promise<readonly string[]> {
    const rows = events.map((event) => checkedEvent(event, checking))
    const ids = rows.map(({ id }) => id)
    if (rows.length === 0) return ids
    const lists = portions(rows).map((portion) =>
      listText(
        database,
        portion.map(({ key, ...row }) => ({ ...row, k: key })),
      ),
    )
    const added = database.within(tx, function* () {
      for (const list of lists) yield* ask(add, [list])
    })
    hintSoon()
    return after(added, () => ids)
  }
  function addOne(tx: unknown, event: OutboxEvent): string | Promise<string> {
    return after(addEvents(tx, [event]), ([id]) => id as string)
  }

  return {
    ...catalog,
    add: ((tx: unknown, given: OutboxEvent | readonly OutboxEvent[]) => {
      const go = () => (isList(given) ? addEvents(tx, given) : addOne(tx, given))
      // What is asynchronous rejects and never throws.
      return dialect === 'sqlite' ? go() : (async () => go())()
    }) as Outbox['add'],
    relay(given) {
      const settings = relaySettings(given, { clock, timers, random, retentionMs })
      const relay = createRelay({
        calls: relayCalls(database, settings),
        settings,
        hints,
        purge: catalog.purge,
        onStopped: () => relays.delete(relay),
      })
      relays.add(relay)
      return relay
    },
    wake: () => hints?.tell(),
    migrate: () => database.migrate(),
    async close() {
      cancelHint?.()
      await Promise.all([...relays].map((relay) => relay.stop()))
      await hints?.close()
      await database.close()
    },
  }
}

function isList(given: OutboxEvent | readonly OutboxEvent[]): given is readonly OutboxEvent[] {
  return Array.isArray(given)
}

/** Lists that one statement each can take. */
function portions(rows: readonly EventRow[]): readonly (readonly EventRow[])[] {
  const all: EventRow[][] = []
  let bytes = 0
  for (const row of rows) {
    const last = all.at(-1)
    const size = row.payload.length + (row.headers?.length ?? 0)
    bytes += size
    if (last && last.length < MAX_ROWS && bytes <= MAX_BYTES) last.push(row)
    else {
      all.push([row])
      bytes = size
    }
  }
  return all
}
