import type { Clock } from '../core/clock.ts'
import { isOncewardError } from '../core/errors.ts'
import { type Reading, readClock } from '../core/lease-clock.ts'
import { MAX_HISTORY } from '../core/operation.ts'
import { ask, jsonRowsText, type SqlDatabase } from '../drivers/database/index.ts'
import { claimStatements } from './claim-statements.ts'
import { type Row, storedEvent, text, whole } from './event-columns.ts'
import type { EventHistoryEntry, StoredEvent } from './outbox-types.ts'
import { settleStatements } from './settle-statements.ts'
import { inOrder, listText } from './sql-of.ts'

/** What a relay has taken is told by. */
export interface Holding {
  readonly seq: number
  /** A nonce of the claim. */
  readonly owner: string
  readonly attempt: number
}

/** An event that a relay has taken. */
export interface TakenEvent {
  readonly holding: Holding
  /** What it is kept in order with; null for nothing. */
  readonly lane: string | null
  /** The event, or why it cannot be read. */
  readonly event: StoredEvent | undefined
  readonly unreadable?: unknown
  readonly history: readonly EventHistoryEntry[]
  /** When it was taken, in ms on the server's clock. */
  readonly takenAt: number
}

/** What becomes of an event that a relay had. */
export interface Move {
  readonly state: 'ready' | 'waiting' | 'dead' | 'sent'
  /** Whether it stops its lane. */
  readonly blocks: boolean
  /** How many attempts count. */
  readonly tried: number
  /** For how long it is so, in ms; null where no time ends it. */
  readonly delay: number | null
  /** Absent where nothing is to be remembered. */
  readonly history?: readonly EventHistoryEntry[]
}

/** What a relay asks of the database. Each call is one atomic step. */
export interface RelayCalls {
  /**
   * Takes events of the first `window` ready ones, at most `limit`, in their order. Their leases count from no sooner than
   * `sentAt`: when they were taken, after the wait for other relays.
   */
  claim(request: {
    readonly owner: string
    readonly limit: number
    readonly window: number
  }): Promise<{ readonly taken: readonly TakenEvent[]; readonly sentAt: Reading }>
  /** Whether a claim might find something. */
  peek(): Promise<boolean>
  /** Deletes published events; answers how many of them were still held. */
  remove(holdings: readonly Holding[]): Promise<number>
  /** Moves events on; answers how many of them were still held. */
  move(moves: readonly (Holding & Move)[]): Promise<number>
  /** Renews leases; answers those that are lost. */
  renew(holdings: readonly Holding[]): Promise<readonly Holding[]>
}

/** Makes them. */
export function relayCalls(
  database: SqlDatabase,
  about: { readonly leaseMs: number; readonly topics: readonly string[] | undefined; readonly clock: Clock },
): RelayCalls {
  const claims = claimStatements(database, about.topics !== undefined)
  const settles = settleStatements(database)
  const topics =
    about.topics === undefined
      ? []
      : [
          listText(
            database,
            about.topics.map((topic) => ({ topic })),
          ),
        ]

  return {
    claim: async ({ owner, limit, window }) => {
      let sentAt = readClock(about)
      const rows = await database.transaction(function* () {
        if (claims.gate) yield* ask(claims.gate)
        yield* ask(claims.promote)
        const picked = yield* ask(claims.pick, [...topics, window, limit])
        if (picked.rows.length === 0) return []
        const list = listText(
          database,
          picked.rows.map((row) => ({ seq: whole(row, 'seq') })),
        )
        sentAt = readClock(about)
        const taken = yield* ask(claims.take, inOrder(database, list, [owner, about.leaseMs]))
        if (!claims.taken) return taken.rows
        return (yield* ask(claims.taken, [list, owner])).rows
      })
      return { taken: rows.map((row) => takenEvent(row, owner, database.where)).sort(bySeq), sentAt }
    },
    peek: async () => (await database.read({ statement: claims.peek, values: [] })).rows.length > 0,
    async remove(holdings) {
      const list = listText(database, [...holdings].sort(bySeqOf))
      return (await database.write({ statement: settles.remove, values: [list] })).affected
    },
    async move(moves) {
      const list = [...moves].sort(bySeqOf).map((move) => ({
        ...move,
        blocks: Number(move.blocks),
        history: move.history === undefined ? null : historyText(database, move.history),
      }))
      const values = [listText(database, list)]
      return (await database.write({ statement: settles.move, values })).affected
    },
    async renew(holdings) {
      const sorted = [...holdings].sort(bySeqOf)
      const list = listText(database, sorted)
      const values = inOrder(database, list, [about.leaseMs])
      const { affected } = await database.write({ statement: settles.renew, values })
      if (affected === sorted.length) return []
      const { rows } = await database.read({ statement: settles.mine, values: [list] })
      const mine = new Set(rows.map((row) => `${whole(row, 'seq')} ${row['owner']}`))
      return sorted.filter(({ seq, owner }) => !mine.has(`${seq} ${owner}`))
    },
  }
}

/** Whether a call that failed may have had its effect. */
export function mayHaveHappened(error: unknown): boolean {
  return !isOncewardError(error) || error.effect !== 'none'
}

/** Writes a history. */
export function historyText(
  { dialect }: Pick<SqlDatabase, 'dialect'>,
  history: readonly EventHistoryEntry[],
): string {
  return jsonRowsText(dialect, history.slice(-MAX_HISTORY))
}

function takenEvent(row: Row, owner: string, where: string): TakenEvent {
  const attempt = whole(row, 'attempts')
  const holding = { seq: whole(row, 'seq'), owner, attempt }
  const takenAt = whole(row, 'now')
  // What is leased stops its own lane.
  const lane = row['stops'] === null ? null : text(row, 'stops')
  try {
    const event = storedEvent(row, where)
    return { holding, lane, event, history: withLapse(event.history, attempt, takenAt), takenAt }
  } catch (unreadable) {
    // One damaged row must not keep its neighbours from being published.
    return { holding, lane, event: undefined, unreadable, history: [], takenAt }
  }
}

/** Whoever had the event before and said nothing has ended, or has lost it. */
function withLapse(
  history: readonly EventHistoryEntry[],
  attempt: number,
  at: number,
): readonly EventHistoryEntry[] {
  const told = history.at(-1)?.attempt ?? 0
  return attempt > told + 1 ? [...history, { at, event: 'lapsed', attempt: attempt - 1 }] : history
}

function bySeq(a: TakenEvent, b: TakenEvent): number {
  return a.holding.seq - b.holding.seq
}

function bySeqOf(a: Holding, b: Holding): number {
  return a.seq - b.seq
}
