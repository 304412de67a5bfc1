import { ERRORS, isOncewardError, OncewardError } from '../core/errors.ts'
import { refuseUnknown, wholeNumber, written } from '../core/known-fields.ts'
import { systemClock } from '../core/system.ts'
import { asked, callerOf } from './caller.ts'
import type { QuotaOptions, ScopeOption } from './guard-options.ts'
import { problemAnswer } from './problem.ts'
import { createQuota } from './quota.ts'
import { storableCaller } from './request-identity.ts'
import type { HeaderPairs, SendAnswer } from './types.ts'

/** What is needed of one-time tokens to issue them: what `createTokens({ once })` answers has it. */
export interface IssuingTokens {
  /** The namespace of the tokens: the scope of their `once`. */
  readonly namespace: string
  issue(request: {
    readonly scope: string
    readonly payload?: unknown
    readonly ttlMs?: number
  }): Promise<string>
}

/** The cookie in which a token is set. It is `HttpOnly`, and for the whole host. */
export interface TokenCookie {
  /** Default `__Host-once-token`; `once-token` with `secure: false`. */
  readonly name?: string
  /** Sent over HTTPS only. Default true; false is for development on plain HTTP. */
  readonly secure?: boolean
  /** Which requests of other sites carry it: `Lax` (the default) those that follow a link, `Strict` none. */
  readonly sameSite?: 'Lax' | 'Strict'
}

/** Options of `issueToken`. */
export interface IssueTokenOptions<Request> {
  /** What `createTokens({ once })` answers. */
  readonly tokens: IssuingTokens
  /** Who asks, as in `idempotency()`: the token is for them alone. Nobody known gets 401 `scope-missing`. */
  readonly scope: ScopeOption<Request>
  /** How long the token may be presented, in ms. Default 3,600,000 (an hour). */
  readonly ttlMs?: number
  /** Sets the token as a cookie that no script can read, in place of telling it in the answer. Default false. */
  readonly cookie?: boolean | TokenCookie
  /** Limits the tokens issued to one caller: 429 `quota-exceeded`. Counted in this process. Default: no limit. */
  readonly quota?: QuotaOptions
}

/** Issues a token to whoever sent a request. It rejects with what `scope` throws. */
export type TokenIssuer<Request> = (request: Request) => Promise<SendAnswer>

/**
 * Makes what answers a request for a token: 200 with `{"token":…,"expiresInMs":…}`, or with the cookie and
 * `{"expiresInMs":…}`; never cached. Where the store is down the answer is a 503 problem document.
 *
 * @throws `TypeError` for options that make no sense, at once.
 */
export function tokenIssuer<Request>(options: IssueTokenOptions<Request>): TokenIssuer<Request> {
  refuseUnknown('issueToken', options ?? {}, ['tokens', 'scope', 'ttlMs', 'cookie', 'quota'])
  const { tokens } = options
  if (typeof tokens?.issue !== 'function')
    throw new TypeError('issueToken needs `tokens`: what createTokens({ once }) answers')
  const caller = callerOf(options.scope, 'issueToken')
  const ttlMs = wholeNumber('ttlMs', options.ttlMs ?? 3_600_000, 1)
  const setCookie = cookieWriter(options.cookie ?? false, ttlMs)
  const quota = options.quota && createQuota(options.quota, systemClock)
  const issue = async (request: Request): Promise<SendAnswer> => {
    const who = await asked(caller, request)
    if (who === undefined || who === '')
      throw new OncewardError('SCOPE_MISSING', 'A one-time token is issued only to a caller who is known.')
    const scope = storableCaller(tokens.namespace, who)
    const ticket = quota?.take(scope)
    if (ticket?.taken === false) {
      const { retryAfterMs } = ticket
      throw new OncewardError('QUOTA_EXCEEDED', 'This caller has asked for too many tokens.', {
        retryAfterMs,
      })
    }
    const token = await tokens.issue({ scope, ttlMs })
    return answer({ ...(setCookie ? {} : { token }), expiresInMs: ttlMs }, setCookie?.(token) ?? [])
  }
  return async (request) => {
    try {
      return await issue(request)
    } catch (error) {
      if (!isOncewardError(error)) throw error
      return problemAnswer(error, { summary: ERRORS[error.code].summary })
    }
  }
}

function answer(body: object, more: HeaderPairs): SendAnswer {
  return {
    kind: 'send',
    status: 200,
    headers: [['Content-Type', 'application/json'], ['Cache-Control', 'no-store'], ...more],
    body: Buffer.from(JSON.stringify(body)),
    from: 'executed',
  }
}

function cookieWriter(
  given: boolean | TokenCookie,
  ttlMs: number,
): ((token: string) => HeaderPairs) | undefined {
  if (given === false) return undefined
  const cookie = given === true ? {} : given
  refuseUnknown('cookie', cookie, ['name', 'secure', 'sameSite'])
  const { secure = true, sameSite = 'Lax' } = cookie
  const { name = secure ? '__Host-once-token' : 'once-token' } = cookie
  if (typeof name !== 'string' || !/^[\w!#$%&'*+.^`|~-]+$/.test(name))
    throw new TypeError(`cookie.name must be the name of a cookie, not ${written(name)}`)
  if (!secure && /^__(host|secure)-/i.test(name))
    throw new TypeError(
      `browsers take the cookie ${name} over HTTPS only; give it another name with secure: false`,
    )
  if (sameSite !== 'Lax' && sameSite !== 'Strict')
    throw new TypeError(`cookie.sameSite must be 'Lax' or 'Strict', not ${written(sameSite)}`)
  const attributes = `Path=/; HttpOnly; ${secure ? 'Secure; ' : ''}SameSite=${sameSite}; Max-Age=${Math.ceil(ttlMs / 1000)}`
  return (token) => [['Set-Cookie', `${name}=${token}; ${attributes}`]]
}
