import { isPromise } from '../../core/is-promise.ts'

/**
 * Refuses what is asynchronous while everything can still be undone: a promise would settle after the commit.
 *
 * @param where - What was given the body, for the message.
 */
export function refusePromise<T>(answer: T | Promise<T>, where: string): T {
  if (!isPromise(answer)) return answer
  // Nobody else will look at how it ends.
  answer.then(undefined, () => {})
  throw new TypeError(
    `the body of ${where} must be synchronous, because the driver commits when it returns; ` +
      'do asynchronous work before or after it, or use once.run()',
  )
}
