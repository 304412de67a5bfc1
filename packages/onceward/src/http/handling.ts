import { deriveKey, type Key } from '../core/derive-key.ts'
import { ERRORS, isOncewardError, OncewardError } from '../core/errors.ts'
import { operationId } from '../core/identity.ts'
import { isPromise } from '../core/is-promise.ts'
import type { AttemptReply, Call, Operation } from '../core/once-types.ts'
import type { OperationId } from '../core/operation.ts'
import { finalFailure, noEffect, verdictOn } from '../core/verdict.ts'
import { tooLarge } from './admission.ts'
import { executedAnswer, expiryOf, problemFor, replayedAnswer } from './answers.ts'
import type { GuardSettings } from './guard-settings.ts'
import { presentedToken } from './presented-token.ts'
import { requestFingerprint } from './request-fingerprint.ts'
import { operationKey, operationScope, storableCaller } from './request-identity.ts'
import { storedHeaders } from './response-headers.ts'
import { verdictOnResponse } from './response-verdict.ts'
import type { Handling, HeaderPairs, HttpAnswer, KeyedRequest, WorkResult } from './types.ts'

/** What one call of the work led to, kept aside from what the engine makes of it. */
interface Run {
  began: boolean
  response?: WorkResult
  thrown?: unknown
  threw: boolean
}

/** Makes the function that takes a guarded request to its answer. */
export function createHandler(settings: GuardSettings): (handling: Handling) => Promise<HttpAnswer> {
  const waiting = new Map<string, number>()
  return async (handling) => {
    let identity: Identity
    try {
      const found = identify(settings, handling)
      identity = isPromise(found) ? await found : found
    } catch (error) {
      if (isOncewardError(error)) return problemFor(handling.request, error)
      throw error
    }
    const { digest } = identity.id
    const others = waiting.get(digest) ?? 0
    waiting.set(digest, others + 1)
    try {
      return await runOnce(settings, handling, identity, others > settings.maxWaiters)
    } finally {
      const left = (waiting.get(digest) ?? 1) - 1
      if (left > 0) waiting.set(digest, left)
      else waiting.delete(digest)
    }
  }
}

interface Identity {
  readonly id: OperationId
  readonly fingerprint: string
  /** Runs the work once for the key, or for the token. */
  attempt<T>(call: Omit<Call, 'key'>, fn: (op: Operation) => Promise<T>): Promise<AttemptReply<T>>
}

/** Waits only for a key that has to be derived. */
function identify(
  settings: GuardSettings,
  { request, caller, body }: Handling,
): Identity | Promise<Identity> {
  if (caller === undefined || caller === '') {
    throw new OncewardError('SCOPE_MISSING', 'An idempotency key is taken only from a caller who is known.')
  }
  if (body instanceof Uint8Array && body.byteLength > settings.maxBodyBytes) {
    throw new OncewardError('BODY_TOO_LARGE', tooLarge(settings.maxBodyBytes))
  }
  const { once, tokens } = settings
  const fingerprint = () => requestFingerprint(request, body, settings.canonicalJson)
  if (tokens !== undefined) {
    const token = request.key ?? presentedToken(settings.tokenFrom ?? {}, request, body)
    const scope = storableCaller(tokens.namespace, caller)
    const id = tokens.operationOf(token, scope)
    if (id === undefined)
      throw new OncewardError('TOKEN_REFUSED', 'What was sent as a one-time token is none. Ask for one.')
    return {
      id,
      fingerprint: fingerprint(),
      attempt: (call, fn) => tokens.attempt(token, (op) => fn(op), { scope, ...call }),
    }
  }
  const known = (key: string): Identity => {
    const scope = operationScope(once.scope, caller)
    const id = operationId(scope, operationKey(request.method, request.path, key))
    return {
      id,
      fingerprint: fingerprint(),
      attempt: (call, fn) => once.attempt({ scope, key: id.key, ...call }, fn),
    }
  }
  return request.key === undefined ? derivedKey(settings, request, body).then(known) : known(request.key)
}

/** Nothing has run yet, so whatever stands in the way of a key is a refusal without effect. */
async function derivedKey(
  settings: GuardSettings,
  request: KeyedRequest,
  body: Handling['body'],
): Promise<string> {
  if (!(body instanceof Uint8Array))
    throw new TypeError('a key is derived from the bytes of a body; read them first')
  let key: string | undefined
  try {
    const derived = await settings.deriveKey?.(
      request,
      Buffer.from(body.buffer, body.byteOffset, body.byteLength),
    )
    key = derived === undefined || derived === null || derived === '' ? undefined : textOf(derived)
  } catch (error) {
    if (isOncewardError(error) && ERRORS[error.code].status < 500) throw error
    settings.emit('key-not-derived', { scope: settings.once.scope, key: '', digest: '' }, { error })
    const detail =
      error instanceof TypeError ? error.message : 'No idempotency key can be made of this request.'
    throw new OncewardError('REQUEST_INVALID', detail, { cause: error })
  }
  if (key === undefined) {
    throw new OncewardError('KEY_MISSING', 'The request lacks what its idempotency key is made of.')
  }
  return key
}

function textOf(derived: Key): string {
  return typeof derived === 'string' ? derived : deriveKey(derived)
}

async function runOnce(
  settings: GuardSettings,
  handling: Handling,
  { id, fingerprint, attempt }: Identity,
  crowded: boolean,
): Promise<HttpAnswer> {
  const { once, quota } = settings
  const { request, signal } = handling
  const ticket = quota?.take(id.scope)
  const run: Run = { began: false, threw: false }
  try {
    if (ticket?.taken === false && (await once.get(id.key, { scope: id.scope })) === undefined) {
      const detail = 'This caller has started too many new operations; known keys are still answered.'
      throw new OncewardError('QUOTA_EXCEEDED', detail, { retryAfterMs: ticket.retryAfterMs })
    }
    const reply = await attempt<WorkResult>(
      {
        input: fingerprint,
        waitMs: request.waitMs,
        whenRunning: crowded || request.waitMs === 0 ? 'reject' : 'wait',
        ...(signal ? { signal } : {}),
        ...settings.call,
      },
      (op) => work(settings, handling, run, op),
    )
    return answerReply(settings, request, reply, run)
  } catch (error) {
    return await answerError(settings, handling, id, run, error)
  } finally {
    if (ticket?.taken && !run.began) ticket.giveBack()
  }
}

/** Ends an operation whose response is for its own caller only. */
class NotStored extends Error {
  override readonly name: string = 'NotStored'
}

async function work(
  settings: GuardSettings,
  { work, signal }: Handling,
  run: Run,
  op: Operation,
): Promise<WorkResult> {
  // Who has gone before the work began gets none: nobody would know of its effect.
  if (signal?.aborted) throw new OncewardError('ABORTED')
  run.began = true
  let response: WorkResult
  try {
    response = await work(op)
  } catch (error) {
    run.threw = true
    run.thrown = error
    throw verdictOn(error) ? error : markedByPolicy(error, settings.onServerError)
  }
  run.response = response
  if ('tooLarge' in response) return response
  const { status } = response
  switch (verdictOnResponse(response, settings.onServerError)) {
    case 'store':
      return { ...response, headers: storedHeaders(response.headers, settings.replayed) }
    case 'release':
      throw noEffect(new NotStored(`the response ${status} is not kept`))
    case 'hold':
      throw new NotStored(`the handler answered ${status}, and its effect may have happened`)
  }
}

/** Marks what the work threw by the policy for throws. */
function markedByPolicy(error: unknown, policy: GuardSettings['onServerError']): unknown {
  const message = error instanceof Error ? error.message : 'the handler threw something that is not an Error'
  if (policy === 'release') return noEffect(new Error(message, { cause: error }))
  if (policy === 'store') return finalFailure(new Error(message, { cause: error }), { effect: 'unknown' })
  return error
}

function answerReply(
  settings: GuardSettings,
  request: KeyedRequest,
  reply: AttemptReply<WorkResult>,
  run: Run,
): HttpAnswer {
  switch (reply.outcome) {
    case 'executed':
      // Its own caller gets everything the handler said; what is stored is less.
      return answerOwn(
        request,
        run.response ?? reply.value,
        reply.id,
        expiryOf(settings.clock.now(), reply.expiresInMs),
      )
    case 'replayed':
      if ('tooLarge' in reply.value) {
        return problemFor(
          request,
          new OncewardError('OUTCOME_NOT_REPLAYABLE', undefined, { value: reply.value }),
          reply.id,
        )
      }
      return replayedAnswer(request, reply.value, reply.id, expiryOf(settings.clock.now(), reply.expiresInMs))
    case 'running':
      return problemFor(
        request,
        new OncewardError('IN_PROGRESS', undefined, { retryAfterMs: reply.retryAfterMs }),
        reply.id,
      )
    case 'held':
      return problemFor(request, new OncewardError('OUTCOME_UNKNOWN'), reply.id)
    case 'reused':
      return problemFor(request, new OncewardError('KEY_REUSED'), reply.id)
  }
}

async function answerError(
  settings: GuardSettings,
  handling: Handling,
  id: OperationId,
  run: Run,
  error: unknown,
): Promise<HttpAnswer> {
  const { request } = handling
  if (run.response && 'tooLarge' in run.response) return answerOwn(request, run.response, id, [])
  // The one answer that the client must not get: another may have run the operation in the meantime.
  if (isOncewardError(error, 'CLAIM_LOST')) return problemFor(request, error, id)
  if (run.response) return answerOwn(request, run.response, id, [])
  if (run.threw) throw run.thrown
  if (!isOncewardError(error)) throw error
  // Once the work has begun, its response or what it threw has been dealt with above.
  if (settings.failOpen && isStoreDown(error)) return failOpen(handling, id)
  return problemFor(request, error, id)
}

/** Runs without remembering, and says so. */
async function failOpen({ request, work }: Handling, id: OperationId): Promise<HttpAnswer> {
  return answerOwn(request, await work(undefined), id, [['Idempotency-Bypassed', 'store-unavailable']])
}

function answerOwn(
  request: KeyedRequest,
  response: WorkResult,
  id: OperationId,
  extra: HeaderPairs,
): HttpAnswer {
  if ('tooLarge' in response) return { kind: 'sent', operation: id }
  return executedAnswer(request, response, id, extra)
}

function isStoreDown(error: OncewardError): boolean {
  return error.status === 503 && (error.code.startsWith('STORE_') || error.code.startsWith('SCHEMA_'))
}
