import type { Random } from '../core/clock.ts'
import { ask, type SqlCall, type SqlWork } from '../drivers/database/index.ts'
import type { SqlResult } from '../drivers/sql/index.ts'
import type { InboxCalls } from './inbox-calls.ts'

/** What became of ids that were taken in a transaction. */
export interface Taken {
  /** Not seen before, and to be processed in this transaction. */
  readonly fresh: ReadonlySet<string>
  /** Dead, with their attempts; not taken. */
  readonly dead: ReadonlyMap<string, number>
}

/** How ids are taken. */
export interface Taking {
  readonly calls: InboxCalls
  readonly random: Random
  /** Whether failures are counted, so that dead messages are left out. */
  readonly counts: boolean
}

const NONE: Taken = { fresh: new Set(), dead: new Map() }

/** Sends a call from within work. */
export function send({ statement, values }: SqlCall): SqlWork<SqlResult> {
  return ask(statement, values)
}

/** Takes one id. It is written before anything is read: who is second waits there, and sees what the first has left. */
export function* takeOne({ calls, counts }: Taking, id: string): SqlWork<Taken> {
  const { affected } = yield* send(calls.take(id))
  if (affected === 0) return NONE
  return counts ? yield* withoutDead(calls, new Set([id])) : { fresh: new Set([id]), dead: NONE.dead }
}

/** Takes many ids by one statement, in one order for all, so that overlapping batches wait for each other and seldom deadlock. */
export function* takeMany({ calls, counts, random }: Taking, ids: readonly string[]): SqlWork<Taken> {
  if (ids.length === 0) return NONE
  const sorted = [...ids].sort(byBytes)
  const batch = random.nonce()
  const { rows, affected } = yield* send(calls.takeMany(sorted, batch))
  const fresh = yield* freshOf(calls, sorted, batch, rows, affected)
  if (fresh.size === 0) return NONE
  return counts ? yield* withoutDead(calls, fresh) : { fresh, dead: NONE.dead }
}

function* freshOf(
  calls: InboxCalls,
  ids: readonly string[],
  batch: string,
  rows: readonly Readonly<Record<string, unknown>>[],
  affected: number,
): SqlWork<ReadonlySet<string>> {
  const idsOf = (all: typeof rows) => new Set(all.map(({ id }) => calls.readId(id)))
  if (!calls.taken) return idsOf(rows)
  if (affected === 0) return NONE.fresh
  if (affected === ids.length) return new Set(ids)
  const answer = yield* send(calls.taken(ids, batch))
  return idsOf(answer.rows)
}

/** Leaves out the dead ones; of the others it forgets that they have failed, if this transaction commits. */
function* withoutDead(calls: InboxCalls, taken: ReadonlySet<string>): SqlWork<Taken> {
  const ids = [...taken].sort(byBytes)
  const { rows } = yield* send(calls.failed(ids))
  if (rows.length === 0) return { fresh: taken, dead: NONE.dead }
  const fresh = new Set(taken)
  const dead = new Map<string, number>()
  const forgiven: string[] = []
  for (const { id, attempts, dead_at: deadAt } of rows) {
    const read = calls.readId(id)
    if (deadAt === null) forgiven.push(read)
    else {
      dead.set(read, Number(attempts))
      fresh.delete(read)
    }
  }
  if (dead.size > 0) yield* send(calls.untake([...dead.keys()]))
  if (forgiven.length > 0) yield* send(calls.forgive(forgiven))
  return { fresh, dead }
}

function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}
