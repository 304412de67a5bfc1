import { ERRORS, OncewardError, verdictOn } from '../core/errors.ts'
import { callerOf } from './caller.ts'
import { createGuard, type Guard } from './guard.ts'
import type { IdempotencyOptions, OnServerError } from './guard-options.ts'
import { CONSUMED_BODY, readNodeBody } from './node-body.ts'
import { captureNodeResponse, type NodeCapture, sendNodeAnswer } from './node-capture.ts'
import { requestPairs } from './node-headers.ts'
import type { NodeRequest, NodeResponse } from './node-types.ts'
import { attachOperation } from './operation-of.ts'
import { problemAnswer } from './problem.ts'
import type { Handling, KeyedRequest, SendAnswer } from './types.ts'

/** One request of a framework that stands on `node:http`. */
export interface NodeExchange<Request> {
  readonly req: NodeRequest
  readonly res: NodeResponse
  /** What `scope` and the handler know as the request. */
  readonly request: Request & object
  /** The body, where the framework has read it; absent: it is read from `req` and put back. */
  readonly body?: Handling['body']
  /** Runs what comes next. A rejection is a throw of the handler that nobody has answered. */
  next(capture?: NodeCapture): unknown
  /** Called before something is sent that the framework does not know of. */
  takeOver?(): void
}

/** Guards exchanges. It rejects for what is no answer of the handler: a `scope` that throws, a body that is gone. */
export type NodeServe<Request> = (exchange: NodeExchange<Request>) => Promise<void> | void

/** Makes the one way in which all frameworks on `node:http` are served. */
export function createNodeServe<Request>(options: IdempotencyOptions<Request>): NodeServe<Request> {
  const caller = callerOf(options.scope)
  const guard = createGuard(options)
  const onServerError = options.onServerError ?? 'hold'
  return (exchange) => {
    const { req, request } = exchange
    const target = req.originalUrl ?? req.url ?? '/'
    const admission = guard.admit({ method: req.method ?? 'GET', target, headers: requestPairs(req) })
    if (admission.kind === 'pass') return void exchange.next()
    if (admission.kind === 'refuse') return send(exchange, admission.answer)
    return Promise.resolve(caller(request)).then((who) =>
      who
        ? serve(guard, onServerError, exchange, admission.request, who)
        : send(exchange, guard.refuse('SCOPE_MISSING')),
    )
  }
}

async function serve<Request>(
  guard: Guard,
  onServerError: OnServerError,
  exchange: NodeExchange<Request>,
  keyed: KeyedRequest,
  caller: string,
): Promise<void> {
  const { req, res } = exchange
  const reading = exchange.body
    ? ({ kind: 'body', body: exchange.body } as const)
    : await readNodeBody(req, guard.maxBodyBytes)
  if (reading.kind === 'aborted') return
  if (reading.kind === 'too-large') return send(exchange, guard.refuse('BODY_TOO_LARGE'))
  if (reading.kind === 'consumed') throw new TypeError(CONSUMED_BODY)
  const gone = new AbortController()
  const onClose = () => gone.abort()
  if (res.destroyed) return
  res.once('close', onClose)
  let capture: NodeCapture | undefined
  const reply = (answer: SendAnswer): void => (capture ? capture.send(answer) : send(exchange, answer))
  try {
    const answer = await guard.handle({
      request: keyed,
      caller,
      body: reading.body,
      signal: gone.signal,
      work(op) {
        attachOperation(exchange.request, op)
        capture = captureNodeResponse(req, res, {
          maxBytes: guard.maxResponseBytes,
          passThroughHeaders: (headers) => guard.passThroughHeaders(keyed, headers),
        })
        const { fail } = capture
        // What the framework itself answers after a throw is the response; only an unanswered throw ends up here.
        new Promise((resolve) => resolve(exchange.next(capture))).catch(fail)
        return capture.response
      },
    })
    if (answer.kind === 'send') reply(answer)
  } catch (error) {
    reply(thrownAnswer(error, onServerError))
  } finally {
    res.off('close', onClose)
  }
}

function send<Request>({ res, takeOver }: NodeExchange<Request>, answer: SendAnswer): void {
  if (res.destroyed) return
  takeOver?.()
  sendNodeAnswer(res, answer)
}

/** The answer for a handler that threw without answering: 500, and whether anything may have happened. */
function thrownAnswer(error: unknown, onServerError: OnServerError): SendAnswer {
  const verdict = verdictOn(error)
  const effect =
    verdict?.kind === 'no-effect' || (!verdict && onServerError === 'release') ? 'none' : 'unknown'
  const code =
    effect === 'unknown' && !verdict && onServerError === 'hold' ? 'OUTCOME_UNKNOWN' : 'OPERATION_FAILED'
  return problemAnswer(new OncewardError(code, undefined, { effect, cause: error }), {
    summary: effect === 'none' ? 'The handler failed; nothing happened.' : ERRORS.OUTCOME_UNKNOWN.summary,
    status: 500,
  })
}
