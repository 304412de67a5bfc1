import { checkedLimit } from '../core/catalog-query.ts'
import { clipNote } from '../core/clip-note.ts'
import { findingsOf } from '../core/findings-of.ts'
import { refuseUnknown, wholeNumber, written } from '../core/known-fields.ts'
import { ask, type SqlDatabase } from '../drivers/database/index.ts'
import { catalogStatements } from './catalog-statements.ts'
import { checkedId, checkedText } from './checked-event.ts'
import { historyOf, type Row, storedEvent, whole } from './event-columns.ts'
import { outboxFindings } from './outbox-findings.ts'
import type { EventHistoryEntry, EventQuery, Outbox, OutboxStats } from './outbox-types.ts'
import { historyText } from './relay-calls.ts'
import { listText } from './sql-of.ts'

const STATES = ['ready', 'leased', 'waiting', 'dead', 'sent'] as const

/** How many events one call redrives, discards or purges at most. */
const MAX_AT_ONCE = 1000

/** What of an outbox is for people, and for whoever watches over it. */
export type OutboxCatalog = Pick<
  Outbox,
  'get' | 'list' | 'stats' | 'redrive' | 'discard' | 'purge' | 'doctor'
>

/** Makes it. */
export function outboxCatalog(database: SqlDatabase): OutboxCatalog {
  const statements = catalogStatements(database)
  const limitOf = (limit: number | undefined) => wholeNumber('limit', limit ?? MAX_AT_ONCE, 1, MAX_AT_ONCE)
  const counts = async () => (await database.read({ statement: statements.stats, values: [] })).rows

  return {
    async get(id) {
      const { rows } = await database.read({ statement: statements.get, values: [checkedId(id)] })
      return rows[0] && storedEvent(rows[0], database.where)
    },
    async list(query = {}) {
      const { statement, values } = listCall(statements, query)
      const { rows } = await database.read({ statement, values })
      return rows.map((row) => storedEvent(row, database.where))
    },
    stats: async () => statsOf(await counts()),
    async redrive(which, why = {}) {
      refuseUnknown(
        'what redrive is given',
        which,
        Object.hasOwn(which ?? {}, 'ids') ? ['ids'] : ['topic', 'limit'],
      )
      refuseUnknown('the reason of redrive', why, ['reason'])
      const note = why.reason === undefined ? {} : { note: clipNote(checkedText('reason', why.reason, 4096)) }
      const call =
        'ids' in which
          ? { statement: statements.deadById, values: [idList(database, which.ids)] }
          : which.topic === undefined
            ? { statement: statements.dead, values: [limitOf(which.limit)] }
            : {
                statement: statements.deadOfTopic,
                values: [checkedText('topic', which.topic, 255), limitOf(which.limit)],
              }
      return database.transaction(function* () {
        const { rows } = yield* ask(call.statement, call.values)
        if (rows.length === 0) return 0
        const list = rows.map((row) => {
          const entry: EventHistoryEntry = { at: whole(row, 'now'), event: 'redriven', attempt: 0, ...note }
          return { seq: whole(row, 'seq'), history: historyText(database, [...historyOf(row), entry]) }
        })
        return (yield* ask(statements.redrive, [listText(database, list)])).affected
      })
    },
    async discard(ids) {
      const values = [idList(database, ids)]
      if (ids.length === 0) return 0
      return (await database.write({ statement: statements.discard, values })).affected
    },
    async purge(limit) {
      return (await database.write({ statement: statements.purge, values: [limitOf(limit)] })).affected
    },
    doctor: () =>
      findingsOf(async () => {
        const rows = await counts()
        return outboxFindings(statsOf(rows), stoppingDead(rows), database.where)
      }),
  }
}

function idList(database: SqlDatabase, ids: readonly string[]): string {
  if (!Array.isArray(ids) || ids.length > MAX_AT_ONCE) {
    throw new TypeError(`give at most ${MAX_AT_ONCE} ids, as a list`)
  }
  return listText(
    database,
    ids.map((id) => ({ id: checkedId(id) })),
  )
}

function listCall(statements: ReturnType<typeof catalogStatements>, query: EventQuery) {
  refuseUnknown('the query of list', query, ['state', 'topic', 'after', 'limit'])
  const { state, topic, after = '0' } = query
  if (state !== undefined && !STATES.includes(state)) {
    throw new TypeError(`state must be one of ${STATES.join(', ')}, not ${written(state)}`)
  }
  if (!/^\d{1,16}$/.test(after)) {
    throw new TypeError('after must be the position of an event that was listed')
  }
  const kind =
    state === undefined ? (topic === undefined ? 'all' : 'topic') : topic === undefined ? 'state' : 'both'
  const values = [
    Number(after),
    ...(state === undefined ? [] : [state]),
    ...(topic === undefined ? [] : [checkedText('topic', topic, 255)]),
    checkedLimit(query.limit),
  ]
  return { statement: statements.list[kind], values }
}

function statsOf(rows: readonly Row[]): OutboxStats {
  const count = (state: string) => {
    const row = rows.find((one) => one['state'] === state)
    return row === undefined ? 0 : whole(row, 'events')
  }
  const [ready, leased, waiting] = [count('ready'), count('leased'), count('waiting')]
  const ages = rows
    .filter((row) => row['state'] !== 'dead' && row['state'] !== 'sent')
    .map((row) => whole(row, 'now') - whole(row, 'oldest'))
  return {
    ready,
    leased,
    waiting,
    dead: count('dead'),
    sent: count('sent'),
    pending: ready + leased + waiting,
    oldestPendingMs: Math.max(0, ...ages),
  }
}

function stoppingDead(rows: readonly Row[]): number {
  const dead = rows.find((row) => row['state'] === 'dead')
  return dead === undefined ? 0 : whole(dead, 'stopping')
}
