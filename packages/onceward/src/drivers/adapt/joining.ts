import { AsyncLocalStorage } from 'node:async_hooks'
import type { Random } from '../../core/clock.ts'
import { systemRandom } from '../../core/system.ts'
import type { SqlDialect, SqlSession } from '../sql/sql-session.ts'
import type { AdaptedSession } from './adapted-session.ts'
import { assertOpen, underStatements } from './savepoint.ts'
import { sessionOf } from './session-of.ts'

/** How a store joins the transactions of its callers. */
export interface Joining {
  /** The session of a handle; inside {@link savepoint}, that of the savepoint. @throws `TypeError` for a root. */
  sessionOf(handle: unknown): SqlSession
  /** Refuses, with the mend, a handle on which no transaction is open. Asks the server only where nobody else knows. */
  assertInTransaction(handle: unknown): void | Promise<void>
  /**
   * Runs `body` under a savepoint. A throw undoes what `body` wrote and leaves the transaction usable; what was thrown is
   * passed on. Savepoints of one handle that are begun at the same time are run one after the other; those begun inside
   * `body` are nested.
   *
   * Limit: after some errors the database has undone the whole transaction (a deadlock on MySQL), or lets nothing more
   * succeed in it (a serialization failure on PostgreSQL). The caller has to roll back then and to run all of it again.
   *
   * @throws `TypeError` for a handle on which no transaction is open, and where `body` has ended the transaction itself.
   */
  savepoint<T>(handle: unknown, body: () => T | Promise<T>): Promise<T>
}

/** What else may be said. */
export interface JoiningOptions {
  /** What a failed SAVEPOINT or RELEASE means. Default: the error of the driver as it is. */
  readonly failure?: (error: unknown) => unknown
  /** Draws the names of savepoints. Default: the operating system's randomness. */
  readonly random?: Random
}

/** A handle in use. */
interface Place {
  readonly outer: AdaptedSession
  /** That of the innermost savepoint. */
  current: SqlSession
  /** Savepoints that are open or wait for their turn. */
  users: number
  /** Savepoints that are open, one inside the other. */
  depth: number
  readonly level: Level
}

/** The transaction, or a savepoint in it: what is begun inside of it is run one after the other. */
interface Level {
  readonly place: object
  readonly outer: Level | undefined
  /** Settles when the last savepoint that was asked for has ended. */
  last: Promise<unknown>
  ended: boolean
}

/** Joins transactions on one kind of database. Remembers the savepoints of the handles in use, so that they never cross. */
export function joining(dialect: SqlDialect, options: JoiningOptions = {}): Joining {
  const { failure = (error: unknown) => error, random = systemRandom } = options
  const places = new WeakMap<object, Place>()
  const levels = new AsyncLocalStorage<Level>()
  // Another store may have savepoints on the same connection; equal names would replace each other on MySQL.
  const prefix = `onceward_${Math.floor(random.fraction() * 36 ** 6).toString(36)}`

  const placeOf = (handle: unknown): Place => {
    const known = places.get(handle as object)
    if (known && known.users > 0) return known
    // Looked at again each time: a handle outlives its transaction, and a connection has many.
    const outer = sessionOf(handle, dialect)
    const place = { outer, current: outer, users: 0, depth: 0, level: newLevel(handle as object, undefined) }
    places.set(handle as object, place)
    return place
  }
  /** What the caller is inside of; work that was left behind by an ended savepoint is inside of what is around that. */
  const levelOf = ({ level: whole }: Place): Level => {
    let level = levels.getStore()
    while (level && (level.ended || level.place !== whole.place)) level = level.outer
    return level ?? whole
  }
  const under = async <T>(place: Place, level: Level, body: () => T | Promise<T>): Promise<T> => {
    const { outer, current } = place
    const run = (session: SqlSession) => {
      place.current = session
      return levels.run(level, async () => body())
    }
    const name = `${prefix}_${place.depth++}`
    try {
      return outer.savepoint
        ? await outer.savepoint(run)
        : await underStatements(outer, name, () => run(current), failure)
    } finally {
      level.ended = true
      place.depth--
      place.current = current
    }
  }

  return {
    sessionOf: (handle) => placeOf(handle).current,
    assertInTransaction: (handle) => assertOpen(placeOf(handle).outer, `${prefix}_probe`, failure),
    async savepoint(handle, body) {
      const place = placeOf(handle)
      const around = levelOf(place)
      const level = newLevel(around.place, levels.getStore())
      place.users++
      const turn = around.last.then(() => under(place, level, body)).finally(() => place.users--)
      around.last = turn.catch(() => {})
      return turn
    },
  }
}

function newLevel(place: object, outer: Level | undefined): Level {
  return { place, outer, last: Promise.resolve(), ended: false }
}
