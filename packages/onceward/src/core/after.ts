import { isPromise } from './is-promise.ts'

/** Goes on with an answer: at once where it is there already, so that what is synchronous stays so; else when it has come. */
export function after<A, B>(answer: A | Promise<A>, next: (answer: A) => B | Promise<B>): B | Promise<B> {
  return isPromise(answer) ? answer.then(next) : next(answer)
}
