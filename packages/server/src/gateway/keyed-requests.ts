import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Once } from 'onceward'
import { createGuard, type Guard, type KeyedRequest, presentedToken, type SendAnswer } from 'onceward/http'
import type { Tokens } from 'onceward/tokens'
import type { Logger } from 'pino'
import type { Dispatcher } from 'undici'
import type { RoutePolicy } from '../config/gateway-options.ts'
import { usageError } from '../exit-codes.ts'
import { type CallerOf, whyNoCaller } from './caller.ts'
import { keyDeriver } from './derived-key.ts'
import { flat, pairsOf } from './header-pairs.ts'
import { keyField } from './key-field.ts'
import { sendProblem } from './problem.ts'
import { readBody } from './read-body.ts'
import type { RouteMatch } from './route-table.ts'
import { codeOf, isOwnDoing } from './upstream.ts'
import { askUpstream, UpstreamError } from './upstream-work.ts'

/** What handling a keyed request takes. */
export interface KeyedContext {
  readonly once: Once
  readonly tokens: Tokens
  readonly callerOf: CallerOf
  readonly upstream: Dispatcher
  readonly log: Logger
  readonly maxNewKeys: number
  /** The digests of operations whose request is at the upstream now. */
  readonly running: Set<string>
}

/** One request on its way through the guard. */
export interface KeyedExchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly route: RouteMatch
  readonly path: string
  readonly query: string
  readonly trusted: boolean
  /** The header for the upstream, without key, body length and claim. */
  readonly forwarded: () => string[]
}

/** Handles a request through the guard; answers `pass` when it is not one for the guard. */
export type KeyedHandler = (exchange: KeyedExchange) => 'pass' | Promise<void>

interface RouteGuard {
  readonly guard: Guard
  /** The key that was derived for a request that carried none. */
  readonly derived: WeakMap<KeyedRequest, string>
}

/**
 * Makes the handler of keyed requests, with one guard for each policy.
 *
 * @throws `CommandError` (usage) when a policy makes no sense to the guard.
 */
export function keyedHandler(context: KeyedContext, policies: readonly RoutePolicy[]): KeyedHandler {
  const guards = new Map<RoutePolicy, RouteGuard>()
  for (const policy of policies) {
    if (policy.key !== 'ignored') guards.set(policy, routeGuard(context, policy))
  }
  return (exchange) => {
    const found = guards.get(exchange.route.policy)
    if (found === undefined) return 'pass'
    const { request, response } = exchange
    const admission = found.guard.admit({
      method: request.method ?? '',
      target: exchange.path + exchange.query,
      headers: pairsOf(request.rawHeaders),
    })
    switch (admission.kind) {
      case 'pass':
        return 'pass'
      case 'refuse':
        logAnswer(context.log, exchange, admission.answer, 0)
        return Promise.resolve(send(response, admission.answer, !request.complete))
      case 'keyed':
        return handle(context, exchange, found, admission.request)
    }
  }
}

async function handle(
  context: KeyedContext,
  exchange: KeyedExchange,
  { guard, derived }: RouteGuard,
  keyed: KeyedRequest,
): Promise<void> {
  const { request, response, route, trusted } = exchange
  const started = performance.now()
  const finish = (answer: SendAnswer): void => {
    logAnswer(context.log, exchange, answer, performance.now() - started)
    send(response, answer, !request.complete)
  }
  const caller = await context.callerOf(route.policy.scope, request, trusted)
  if (caller === undefined || caller === '') {
    const why = whyNoCaller(route.policy.scope, request, trusted)
    context.log.warn({ route: route.name, why }, 'a keyed request has no caller: refused')
    return finish(guard.refuse('SCOPE_MISSING'))
  }
  const read = await readBody(request, guard.maxBodyBytes)
  if (read.kind === 'gone') return
  if (read.kind === 'too-large') return finish(guard.refuse('BODY_TOO_LARGE'))
  const left = new AbortController()
  const onClose = (): void => left.abort()
  response.once('close', onClose)
  let digest: string | undefined
  try {
    const answer = await guard.handle({
      request: keyed,
      caller,
      body: read.body,
      signal: left.signal,
      work: (op) => {
        const key = keyed.key ?? derived.get(keyed) ?? tokenOf(route.policy, keyed, read.body)
        if (op === undefined)
          context.log.warn({ route: route.name }, 'the store is down: forwarded without protection')
        const answered = askUpstream(
          {
            dispatcher: context.upstream,
            method: keyed.method,
            path: exchange.path + exchange.query,
            headers: [
              ...exchange.forwarded(),
              ...(key === undefined ? [] : ['Idempotency-Key', keyField(key)]),
            ],
            body: read.body,
            maxResponseBytes: guard.maxResponseBytes,
            response,
            passThroughHeaders: (headers) => guard.passThroughHeaders(keyed, headers),
          },
          op,
        )
        if (op === undefined) return answered
        const running = op.id.digest
        digest = running
        context.running.add(running)
        return answered.finally(() => context.running.delete(running))
      },
    })
    if (answer.kind === 'send') return finish(answer)
    context.log.warn(
      { route: route.name, operation: answer.operation?.digest, status: response.statusCode },
      'the response is larger than what is stored: passed through, not replayable',
    )
  } catch (error) {
    failed(context, exchange, error, { operation: digest, echo: keyed.echo })
  } finally {
    response.off('close', onClose)
  }
}

/** Answers for work that threw: the guard has released or held the operation already. */
function failed(
  context: KeyedContext,
  exchange: KeyedExchange,
  error: unknown,
  { operation, echo }: { readonly operation: string | undefined; readonly echo: string | undefined },
): void {
  const { route, response } = exchange
  const echoed = echo === undefined ? {} : { echo }
  if (!(error instanceof UpstreamError)) {
    context.log.error(
      { route: route.name, operation, err: error },
      'a keyed request failed inside the gateway',
    )
    sendProblem(response, {
      status: 500,
      code: 'gateway-failed',
      title: 'Internal Server Error',
      detail: 'The gateway failed; whether the work was done is unknown.',
      retryable: false,
      effect: 'unknown',
      ...echoed,
    })
    return
  }
  const { failure } = error
  const again = failure.neverSent || route.policy.onServerError === 'release'
  // What the shutdown cuts is told there, and is no fault of the upstream.
  if (!isOwnDoing(error.cause)) {
    const { code, status } = failure
    const cause = codeOf(error.cause) || String(error.cause)
    context.log.warn(
      { route: route.name, operation, code, status, cause },
      failure.neverSent ? 'upstream not reached: released' : 'upstream gave no whole answer',
    )
  }
  sendProblem(response, {
    status: failure.status,
    code: failure.code,
    title: failure.status === 504 ? 'Gateway Timeout' : 'Bad Gateway',
    detail: failure.detail,
    retryable: again,
    effect: failure.neverSent ? 'none' : 'unknown',
    ...(again ? { retryAfterSeconds: 1 } : {}),
    ...echoed,
  })
}

/** Sends a whole answer. */
export function send(response: ServerResponse, answer: SendAnswer, close: boolean): void {
  if (response.destroyed || response.headersSent) return
  const bodiless = answer.status === 204 || answer.status === 304
  const fields = flat(answer.headers)
  if (!bodiless) fields.push('Content-Length', String(answer.body.byteLength))
  if (close) response.shouldKeepAlive = false
  response.writeHead(answer.status, fields)
  if (close) linger(response, answer.body)
  else response.end(bodiless ? undefined : answer.body)
}

/** How long the rest of a refused body is read, in ms. */
const LINGER_MS = 2000

/**
 * Writes a whole answer and ends it once the client has stopped sending, or after two seconds. To close a connection
 * with bytes unread resets it, and the client may never see the answer (RFC 9112 section 9.6).
 */
function linger(response: ServerResponse, body: Uint8Array): void {
  const { req: request } = response
  const end = (): void => {
    clearTimeout(timer)
    response.end()
  }
  const timer = setTimeout(end, LINGER_MS)
  request.once('end', end)
  request.once('close', end)
  response.write(body)
  request.resume()
}

/** The token in the body, which the guard has found there. */
function tokenOf({ tokenFrom }: RoutePolicy, keyed: KeyedRequest, body: Buffer): string | undefined {
  return tokenFrom === undefined ? undefined : presentedToken(tokenFrom, keyed, body)
}

function routeGuard(context: KeyedContext, policy: RoutePolicy): RouteGuard {
  const derived = new WeakMap<KeyedRequest, string>()
  const derive = typeof policy.key === 'object' ? keyDeriver(policy.key) : undefined
  try {
    const guard = createGuard({
      once: context.once,
      requireKey: policy.key === 'required',
      ...(policy.key === 'issued' ? { tokens: context.tokens } : {}),
      ...(policy.tokenFrom === undefined ? {} : { tokenFrom: policy.tokenFrom }),
      waitMs: policy.waitMs,
      maxBodyBytes: policy.maxBodyBytes,
      maxResponseBytes: policy.maxResponseBytes,
      onServerError: policy.onServerError,
      failOpen: policy.failOpen,
      maxWaiters: policy.maxWaiters,
      canonicalJson: policy.canonicalJson,
      replayHeaders: policy.replayHeaders,
      leaseMs: policy.leaseMs,
      retentionMs: policy.retentionMs,
      onCrash: policy.onCrash,
      ...(context.maxNewKeys === 0 ? {} : { quota: { newKeys: context.maxNewKeys, perMs: 60_000 } }),
      ...(derive === undefined
        ? {}
        : {
            deriveKey: (request, body) => {
              const key = derive(request, body)
              if (key !== undefined) derived.set(request, key)
              return key
            },
          }),
    })
    return { guard, derived }
  } catch (error) {
    if (error instanceof TypeError) throw usageError(error.message)
    throw error
  }
}

function logAnswer(log: Logger, exchange: KeyedExchange, answer: SendAnswer, durationMs: number): void {
  log.info(
    {
      method: exchange.request.method,
      route: exchange.route.name,
      operation: answer.operation?.digest,
      status: answer.status,
      from: answer.from,
      code: answer.code,
      ms: Math.round(durationMs),
    },
    'keyed request',
  )
}
