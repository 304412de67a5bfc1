import type { Timers } from './clock.ts'

/** The store did not answer in time. */
export class StoreTimeout extends Error {
  override readonly name: string = 'StoreTimeout'
}

/** Bounds a call that may never answer. What it answers too late is dropped. @throws {@link StoreTimeout} after `ms`. */
export function answerWithin<T>(
  { timers }: { readonly timers: Timers },
  answer: Promise<T>,
  ms: number,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const cancel = timers.after(ms, () =>
      reject(new StoreTimeout(`the store did not answer within ${ms} ms`)),
    )
    answer.then(
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
}
