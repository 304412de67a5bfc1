import type { ScopeOption } from './guard-options.ts'

/** Tells who asks. */
export type CallerOf<Request> = (request: Request) => Promise<string | undefined> | string | undefined

/**
 * Makes the function that tells callers apart.
 *
 * @param who - What needs it, for the message.
 * @throws `TypeError` when there is none: keys shared by all callers are a leak, so that must be asked for by name.
 */
export function callerOf<Request>(
  scope: ScopeOption<Request> | undefined,
  who = 'idempotency',
): CallerOf<Request> {
  if (scope === 'public') return () => 'public'
  if (typeof scope !== 'function') {
    throw new TypeError(
      `${who} needs \`scope\`: a function that answers who asks, for example (req) => req.user?.id; ` +
        "say scope: 'public' where all callers are one",
    )
  }
  return (request) => {
    const caller = scope(request)
    return caller instanceof Promise ? caller.then(checked) : checked(caller)
  }
}

/** Asks who it is. A throw becomes a rejection, so that no framework meets it outside of what it watches. */
export async function asked<Request>(
  caller: CallerOf<Request>,
  request: Request,
): Promise<string | undefined> {
  return caller(request)
}

function checked(caller: unknown): string | undefined {
  if (typeof caller === 'string') return caller
  if (caller === undefined || caller === null) return undefined
  throw new TypeError(`scope must answer a text, or undefined for an unknown caller, not a ${typeof caller}`)
}
