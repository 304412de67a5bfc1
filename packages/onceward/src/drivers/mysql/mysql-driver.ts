import type { Timers } from '../../core/clock.ts'
import { isOncewardError } from '../../core/errors.ts'
import { failure, isRefusal, mysqlFailure } from './mysql-errors.ts'
import type { MysqlConnection, MysqlPromisePool } from './mysql-handle.ts'
import { type MysqlSession, mysqlSession } from './mysql-session.ts'

/** A connection taken from the pool. */
export interface TakenConnection {
  readonly connection: MysqlConnection
  readonly session: MysqlSession
  /** Gives it back to the pool; a broken one, or one in an unknown state, is thrown away. To be called once. */
  release(broken: boolean): void
}

/** A pool, with the limits of a store. */
export interface MysqlDriver {
  /** Which database it is, without credentials, for messages. */
  readonly where: string
  /** Takes a connection. @throws `STORE_UNAVAILABLE` after `queryTimeoutMs`. */
  take(): Promise<TakenConnection>
  /**
   * Runs statements on one connection, all of them within `queryTimeoutMs`; a connection that does not answer in time
   * is thrown away. What the driver throws is thrown as it is, for the caller to try again or to translate.
   */
  use<T>(body: (session: MysqlSession) => Promise<T>): Promise<T>
  /** Fails with `STORE_UNAVAILABLE` when `promise` has not settled after `queryTimeoutMs`; `late` is called then. */
  inTime<T>(promise: Promise<T>, late: () => void): Promise<T>
}

/** Makes the driver of a pool. */
export function mysqlDriver(about: {
  readonly pool: MysqlPromisePool
  readonly where: string
  readonly timers: Timers
  /** In ms. */
  readonly queryTimeoutMs: number
}): MysqlDriver {
  const { pool, where, timers, queryTimeoutMs } = about

  const inTime = <T>(promise: Promise<T>, late: () => void, what: string): Promise<T> =>
    new Promise<T>((resolve, reject) => {
      const cancel = timers.after(queryTimeoutMs, () => {
        late()
        reject(failure('STORE_UNAVAILABLE', `${where}: ${what} within ${queryTimeoutMs} ms`))
      })
      promise.then(
        (value) => {
          cancel()
          resolve(value)
        },
        (error: unknown) => {
          cancel()
          reject(error)
        },
      )
    })

  const take = async (): Promise<TakenConnection> => {
    const asked = pool.getConnection()
    let connection: MysqlConnection
    try {
      connection = await inTime(
        asked,
        // It may still come: nobody waits for it any more.
        () =>
          void asked.then(
            (unused) => unused.release(),
            () => {},
          ),
        'no connection was to be had; check that the server answers, and raise connectionLimit where all are in use,',
      )
    } catch (error) {
      throw mysqlFailure(error, where)
    }
    let released = false
    return {
      connection,
      session: mysqlSession(connection),
      release(broken) {
        if (released) return
        released = true
        if (broken) connection.destroy()
        else connection.release()
      },
    }
  }

  const NO_ANSWER = 'the server did not answer'

  return {
    where,
    take,
    inTime: (promise, late) => inTime(promise, late, NO_ANSWER),
    async use(body) {
      const taken = await take()
      let broken = false
      try {
        const end = () => {
          broken = true
          taken.release(true)
        }
        return await inTime(body(taken.session), end, NO_ANSWER)
      } catch (error) {
        // An error of our own says nothing against the connection.
        broken ||= !isOncewardError(error) && !(error instanceof TypeError) && !isRefusal(error)
        throw error
      } finally {
        taken.release(broken)
      }
    },
  }
}
