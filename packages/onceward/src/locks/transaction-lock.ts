import { OncewardError } from '../core/errors.ts'
import { atLeast, refuseUnknown } from '../core/known-fields.ts'

/** How long a lock of a transaction is waited for, where nobody says it, in ms. */
const WAIT_MS = 10_000

/** Checks what `lockForTransaction` is given; answers how long to wait, in ms. @throws `TypeError` naming what is wrong. */
export function checkedWait(key: string, options: { readonly waitMs?: number }): number {
  refuseUnknown('lockForTransaction', options, ['waitMs'])
  if (typeof key !== 'string' || key === '')
    throw new TypeError('lockForTransaction needs a key that is not empty')
  return atLeast('waitMs', options.waitMs ?? WAIT_MS, 0)
}

/** What `lockForTransaction` throws after a wait in vain. */
export function waitedInVain(key: string, waitMs: number, cause?: unknown): OncewardError {
  return new OncewardError(
    'LOCK_TIMEOUT',
    `another transaction has had the lock of ${JSON.stringify(key)} for ${waitMs} ms; commit it sooner, or raise waitMs`,
    { effect: 'none', ...(cause === undefined ? {} : { cause }) },
  )
}
