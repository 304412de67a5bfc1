import { OncewardError } from '../../core/errors.ts'
import { asThrown } from './sql-work.ts'

/** What a database on a server says of itself in its errors. */
export interface OwnCallsParts {
  readonly where: string
  /** Who was given the database: `createInbox`. */
  readonly user: string
  /** Makes an error of a driver one of ours. */
  readonly failure: (error: unknown) => unknown
}

/** How statements of ours fail. */
export interface OwnCalls {
  /** @throws `CLOSED` after {@link OwnCalls.close}. */
  assertOpen(): void
  /** Runs statements: what fails in them becomes an error of ours, and what the work itself has thrown stays as it is. */
  inOurs<T>(body: () => Promise<T>): Promise<T>
  close(): void
}

/** The calls of one database on a server. */
export function ownCalls({ where, user, failure }: OwnCallsParts): OwnCalls {
  let closed = false
  return {
    assertOpen() {
      if (closed) throw new OncewardError('CLOSED', `${user} on ${where} was closed; make a new one`)
    },
    async inOurs(body) {
      try {
        return await body()
      } catch (error) {
        const thrown = asThrown(error)
        throw thrown === error ? failure(error) : thrown
      }
    },
    close() {
      closed = true
    },
  }
}
