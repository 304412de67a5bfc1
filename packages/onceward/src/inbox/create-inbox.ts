import { after } from '../core/after.ts'
import { findingsOf } from '../core/findings-of.ts'
import { isPromise } from '../core/is-promise.ts'
import { checkWork, kindOf, refuseUnknown, wholeNumber } from '../core/known-fields.ts'
import { systemRandom } from '../core/system.ts'
import {
  DATABASE_FIELDS,
  type OpenTransaction,
  openDatabase,
  type SqlDatabase,
} from '../drivers/database/index.ts'
import { countsAsFailure, failedMessage, recordFailure, redriveMessage, stillAnswers } from './failures.ts'
import { type InboxCalls, MAX_ROWS } from './inbox-calls.ts'
import { inboxFindings } from './inbox-doctor.ts'
import type { BatchOutcome, Inbox, InboxMessage, InboxOptions, InboxOutcome } from './inbox-types.ts'
import { checkedConsumer, idOf } from './message-id.ts'
import { mysqlCalls } from './mysql-calls.ts'
import { postgresCalls } from './postgres-calls.ts'
import { purging } from './purging.ts'
import { sqliteCalls } from './sqlite-calls.ts'
import { takeMany, takeOne } from './taking.ts'

const DAY_MS = 86_400_000
const RETENTION_MS = 30 * DAY_MS

const FIELDS: readonly string[] = [
  ...DATABASE_FIELDS,
  'db',
  'consumer',
  'retentionMs',
  'maxAttempts',
  'autoPurge',
]

/**
 * Makes the inbox of a consumer: its effects in the database happen once for each message, however often it is delivered.
 *
 * Guarantee: the id of a message and what its handler writes through `tx` commit in one transaction, so that both are there or
 * neither is. Limit: for `retentionMs`, and for what is written through `tx` only.
 *
 * The tables come with the migrations: `onceward migrate` at deploy, or `await inbox.migrate()` once. The path of a SQLite file
 * is migrated by its first use.
 *
 * @throws `TypeError` for options that make no sense, at once.
 * @example
 * import type { PoolClient } from 'pg'
 *
 * const inbox = createInbox<PoolClient>({ db: pool, consumer: 'billing' })
 * const message = { id: 'evt_1', total: 100 }
 * const { outcome } = await inbox.process(message, async (tx) => {
 *   await tx.query('UPDATE balances SET total = total + $1', [message.total])
 * })
 * console.log(outcome) // 'processed', and 'duplicate' from then on
 */
export function createInbox<Tx = unknown>(options: InboxOptions): Inbox<Tx> {
  refuseUnknown('the options of createInbox', options, FIELDS)
  const { db, consumer: name, retentionMs: keptMs, maxAttempts, autoPurge, ...rest } = options
  const consumer = checkedConsumer(name)
  const retentionMs = wholeNumber('retentionMs', keptMs ?? RETENTION_MS, 1000)
  const most = maxAttempts === undefined ? undefined : wholeNumber('maxAttempts', maxAttempts, 1, 1_000_000)
  const database = openDatabase(db, rest, 'createInbox')
  const calls = callsOf(database, consumer)
  const random = options.random ?? systemRandom
  const taking = { calls, random, counts: most !== undefined }
  const purges = purging({ database, calls, retentionMs, random, auto: autoPurge ?? true })

  /** Counts what a handler has thrown. Where not even that can be written, the broker sends the message again anyway. */
  const failed = async (id: string, error: unknown, atMost: number): Promise<InboxOutcome<never>> => {
    const { attempts, dead } = await database
      .transaction(() => recordFailure(calls, id, { error, maxAttempts: atMost }))
      .catch(() => ({ attempts: 0, dead: false }))
    if (!dead) throw error
    return { outcome: 'dead', attempts, cause: error }
  }

  const process = async <T>(
    message: InboxMessage,
    handler: (tx: Tx) => T | Promise<T>,
  ): Promise<InboxOutcome<T>> => {
    const id = idOf(message)
    checkWork('inbox.process', handler)
    const watched = watching(handler, most !== undefined)
    try {
      const outcome = await database.transact<InboxOutcome<T>>((tx) =>
        after(
          tx.run(() => takeOne(taking, id)),
          ({ fresh, dead }): InboxOutcome<T> | Promise<InboxOutcome<T>> => {
            const attempts = dead.get(id)
            if (attempts !== undefined) return { outcome: 'dead', attempts }
            if (!fresh.has(id)) return { outcome: 'duplicate' }
            return after(watched.handler(tx), (value) => ({ outcome: 'processed', value }))
          },
        ),
      )
      if (outcome.outcome === 'processed') purges.afterwards(1)
      return outcome
    } catch (error) {
      if (most !== undefined && watched.hasFailed(error)) return failed(id, error, most)
      throw error
    }
  }

  const processBatch = async <M extends InboxMessage, T>(
    messages: readonly M[],
    handler: (tx: Tx, fresh: readonly M[]) => T | Promise<T>,
  ): Promise<BatchOutcome<M, T>> => {
    if (!Array.isArray(messages))
      throw new TypeError(`inbox.processBatch needs a list of messages, not ${kindOf(messages)}`)
    const byId = new Map<string, M>()
    const repeated: M[] = []
    for (const message of messages) {
      const id = idOf(message)
      if (byId.has(id)) repeated.push(message)
      else byId.set(id, message)
    }
    checkWork('inbox.processBatch', handler)
    const those = (belongs: (id: string) => boolean) =>
      [...byId].filter(([id]) => belongs(id)).map(([, message]) => message)
    const outcome = await database.transact<BatchOutcome<M, T>>(({ handle, run }) =>
      after(
        run(() => takeMany(taking, [...byId.keys()])),
        ({ fresh, dead }): BatchOutcome<M, T> | Promise<BatchOutcome<M, T>> => {
          const parts = {
            fresh: those((id) => fresh.has(id)),
            duplicates: [...those((id) => !fresh.has(id) && !dead.has(id)), ...repeated],
            dead: those((id) => dead.has(id)),
          }
          if (parts.fresh.length === 0) return { outcome: 'duplicate', ...parts }
          return after(handler(handle as Tx, parts.fresh), (value) => ({
            outcome: 'processed',
            value,
            ...parts,
          }))
        },
      ),
    )
    purges.afterwards(outcome.fresh.length)
    return outcome
  }

  return {
    consumer,
    process,
    processBatch,
    within(tx, message) {
      const id = idOf(message)
      const uncounted = { ...taking, counts: false }
      return after(
        database.within(tx, () => takeOne(uncounted, id)),
        ({ fresh }) => fresh.has(id),
      )
    },
    async failures({ deadOnly = true, limit = 100, after: behind = '' } = {}) {
      wholeNumber('limit', limit, 1, MAX_ROWS)
      const { rows } = await database.read(calls.listFailures(behind, deadOnly))
      return rows.slice(0, limit).map((row) => failedMessage(calls, row))
    },
    async redrive(message, why) {
      const reason: unknown = why?.reason
      const id = idOf(message)
      if (typeof reason !== 'string' || reason.trim() === '')
        throw new TypeError('redrive needs a reason: who lets the message in again, and why')
      return database.transaction(() => redriveMessage(calls, id, reason))
    },
    purge: async (limit) => purges.now(limit === undefined ? Infinity : wholeNumber('limit', limit, 1)),
    doctor: (facts = {}) =>
      findingsOf(async () => {
        const { rows } = await database.read(calls.facts())
        return inboxFindings({ ...facts, consumer, retentionMs, row: rows[0] ?? {} })
      }),
    migrate: () => database.migrate(),
    async close() {
      await purges.settled()
      await database.close()
    },
  }
}

/** A handler, and which of its errors count as attempts. */
function watching<Tx, T>(handler: (tx: Tx) => T | Promise<T>, counts: boolean) {
  let failed: { readonly error: unknown } | undefined
  const thrown = (error: unknown, run: OpenTransaction['run']): never | Promise<never> => {
    if (!counts || !countsAsFailure(error)) throw error
    return after(
      run(() => stillAnswers()),
      (answers) => {
        if (answers) failed = { error }
        throw error
      },
    )
  }
  return {
    handler({ handle, run }: OpenTransaction): T | Promise<T> {
      failed = undefined
      let answer: T | Promise<T>
      try {
        answer = handler(handle as Tx)
      } catch (error) {
        return thrown(error, run)
      }
      return isPromise(answer)
        ? answer.then(
            (value) => value,
            (error: unknown) => thrown(error, run),
          )
        : answer
    },
    hasFailed: (error: unknown) => failed !== undefined && Object.is(failed.error, error),
  }
}

function callsOf(database: SqlDatabase, consumer: string): InboxCalls {
  switch (database.dialect) {
    case 'postgres':
      return postgresCalls((name) => database.table(name), consumer)
    case 'mysql':
      return mysqlCalls(consumer)
    case 'sqlite':
      return sqliteCalls(consumer)
  }
}
