import { isOncewardError, type OncewardError } from '../../core/errors.ts'
import { failure } from '../../drivers/redis/index.ts'

/** What has been answered so far, in the order of the servers. */
export interface Votes<T> {
  /** The answer of each server; `undefined` while it is out, and of one that failed. */
  readonly answers: readonly (T | undefined)[]
  /** How many have failed. */
  readonly failed: number
  /** How many are out. */
  readonly pending: number
  /** How many answers are of a kind. */
  count(is: (answer: T) => boolean): number
}

/**
 * Asks all servers at once and answers as soon as `decide` does, without waiting for the slow ones.
 *
 * @param decide - Is asked after each answer; has to decide when nothing is pending.
 * @throws What the servers failed with, as soon as so many have failed that the others are no majority.
 */
export function ballot<Server, T, R>(
  servers: readonly Server[],
  send: (server: Server, place: number) => Promise<T>,
  decide: (votes: Votes<T>) => R | undefined,
): Promise<R> {
  const quorum = quorumOf(servers.length)
  const answers: (T | undefined)[] = servers.map(() => undefined)
  const errors: unknown[] = []
  let pending = servers.length
  return new Promise<R>((resolve, reject) => {
    const look = () => {
      if (errors.length > servers.length - quorum) return reject(commonFailure(errors, servers.length))
      const count = (is: (answer: T) => boolean) =>
        answers.reduce((sum: number, answer) => sum + (answer !== undefined && is(answer) ? 1 : 0), 0)
      try {
        const decision = decide({ answers, failed: errors.length, pending, count })
        if (decision !== undefined) resolve(decision)
        else if (pending === 0) reject(new TypeError('the ballot was not decided'))
      } catch (error) {
        reject(error)
      }
    }
    for (const [place, server] of servers.entries()) {
      send(server, place).then(
        (answer) => {
          pending--
          answers[place] = answer
          look()
        },
        (error: unknown) => {
          pending--
          errors.push(error)
          look()
        },
      )
    }
  })
}

/** How many servers are a majority. */
export function quorumOf(servers: number): number {
  return Math.floor(servers / 2) + 1
}

/** What the servers failed with: as one of them says it where all say the same. */
function commonFailure(errors: readonly unknown[], servers: number): unknown {
  const known = errors.filter((error): error is OncewardError => isOncewardError(error))
  if (known.length < errors.length) return errors.find((error) => !isOncewardError(error))
  const [first] = known
  const cause = new AggregateError(errors, 'no majority of the servers answered')
  const messages = known.map(({ message }) => message).join('; ')
  const code = known.every((error) => error.code === first?.code) ? first?.code : undefined
  return failure(
    code ?? 'STORE_UNAVAILABLE',
    `${errors.length} of ${servers} Redis servers failed, so there is no majority: ${messages}`,
    cause,
  )
}
