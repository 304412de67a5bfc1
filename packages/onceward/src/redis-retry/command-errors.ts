import { OncewardError } from '../core/errors.ts'
import type { Effect } from '../core/operation.ts'
import { failure, replyFailure } from '../drivers/redis/index.ts'
import type { OpenLink } from '../drivers/redis/open-link.ts'

/** An error reply of a command, in the server's own words. */
export function commandRefused(text: string, cause?: unknown, effect: Effect = 'none'): OncewardError {
  return new OncewardError('COMMAND_REFUSED', text, { effect, ...(cause === undefined ? {} : { cause }) })
}

/** What an error reply to the guarding script means, with the mend; nothing was executed. */
export function scriptFailure({ link }: OpenLink, text: string, cause?: unknown): OncewardError {
  if (text.startsWith('CROSSSLOT')) return commandRefused(text, cause)
  return (
    replyFailure(text, link, cause) ?? failure('STORE_UNAVAILABLE', `${link.where} failed: ${text}`, cause)
  )
}

/** Whether an error reply says that the guarding script has stopped somewhere within, such as for want of memory. */
export function brokeOff(text: string): boolean {
  return /^(?:ERR )?(?:Error running script|@?user_script\b)/.test(text)
}

/** Errors of the server that pass by themselves; nothing was executed. */
const PASSING = /^(?:LOADING|BUSY|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|NOREPLICAS|UNKILLABLE) /

/** Those that pass where there are several nodes: while a slot moves, or a replica takes over. */
const PASSING_AMONG_NODES = /^(?:ASK|MOVED|READONLY) /

/** Whether an error reply passes by itself. */
export function passes(text: string, topology: OpenLink['link']['topology']): boolean {
  return PASSING.test(text) || (topology !== 'standalone' && PASSING_AMONG_NODES.test(text))
}
