import { ERRORS, OncewardError } from '../core/errors.ts'
import { type Verdict, verdictOn } from '../core/verdict.ts'
import { asked, callerOf } from './caller.ts'
import { createGuard, type Guard } from './guard.ts'
import type { IdempotencyOptions, OnServerError } from './guard-options.ts'
import { CONSUMED_BODY, type LeftBody, readNodeBody } from './node-body.ts'
import { captureNodeResponse, type NodeCapture, sendNodeAnswer } from './node-capture.ts'
import { requestPairs } from './node-headers.ts'
import type { NodeRequest, NodeResponse } from './node-types.ts'
import { attachOperation, operationOf } from './operation-of.ts'
import { problemAnswer } from './problem.ts'
import type { KeyedRequest, SendAnswer } from './types.ts'

/** One request of a framework that stands on `node:http`. */
export interface NodeExchange<Request> {
  readonly req: NodeRequest
  readonly res: NodeResponse
  /** What `scope` and the handler know as the request. */
  readonly request: Request & object
  /** Where a parser may have left the body. Default: `req`. */
  readonly left?: LeftBody
  /** Runs what comes next. A rejection is a throw of the handler that nobody has answered. */
  next(capture?: NodeCapture): unknown
  /** Called before something is sent that the framework does not know of. */
  takeOver?(): void
}

/** The one way in which all frameworks on `node:http` are served. */
export interface NodeServe<Request> {
  /** Guards an exchange. It rejects for what is no answer of the handler: a `scope` that throws, a body that is gone. */
  serve(exchange: NodeExchange<Request>): Promise<void> | void
  /** Keeps the bytes of the body for `serve`, before a parser consumes them; answers a refusal when they are too many. */
  keepBody(req: NodeRequest): Promise<SendAnswer | undefined> | undefined
}

/** Makes a {@link NodeServe}. */
export function createNodeServe<Request>(options: IdempotencyOptions<Request>): NodeServe<Request> {
  const caller = callerOf(options?.scope)
  const guard = createGuard(options)
  const onServerError = options.onServerError ?? 'hold'
  const admit = (req: NodeRequest) => {
    const target = req.originalUrl ?? req.url ?? '/'
    return guard.admit({ method: req.method ?? 'GET', target, headers: requestPairs(req) })
  }
  const serveOne = (exchange: NodeExchange<Request>): Promise<void> | void => {
    const { req, request } = exchange
    // A guard inside a guarded handler: the outer one runs the operation already.
    if (operationOf(request)) return void exchange.next()
    const admission = admit(req)
    if (admission.kind === 'pass') return void exchange.next()
    if (admission.kind === 'refuse') return send(exchange, admission.answer)
    return asked(caller, request).then((who) =>
      who
        ? serve(guard, onServerError, exchange, admission.request, who)
        : send(exchange, guard.refuse('SCOPE_MISSING')),
    )
  }
  return {
    serve: serveOne,
    keepBody(req) {
      const admission = admit(req)
      if (admission.kind === 'refuse' && admission.answer.status === 413)
        return Promise.resolve(admission.answer)
      // Every other refusal waits for its turn, after authentication.
      if (admission.kind !== 'keyed') return undefined
      return readNodeBody(req, guard.maxBodyBytes).then(({ kind }) =>
        kind === 'too-large' ? guard.refuse('BODY_TOO_LARGE') : undefined,
      )
    },
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
  const reading = await readNodeBody(req, guard.maxBodyBytes, exchange.left)
  if (reading.kind === 'aborted') return
  if (reading.kind === 'too-large') return send(exchange, guard.refuse('BODY_TOO_LARGE'))
  if (reading.kind === 'consumed') throw new TypeError(CONSUMED_BODY)
  const gone = new AbortController()
  const onClose = () => gone.abort()
  if (res.destroyed) return
  res.once('close', onClose)
  let capture: NodeCapture | undefined
  let verdict: Verdict | undefined
  let began = false
  const reply = (answer: SendAnswer): void => {
    try {
      if (capture) capture.send(answer)
      else send(exchange, answer)
    } catch {
      // What cannot be sent (a status or a field that node:http refuses) must not leave the client waiting.
      res.destroy()
    }
  }
  try {
    const answer = await guard.handle({
      request: keyed,
      caller,
      body: reading.body,
      signal: gone.signal,
      work(op) {
        began = true
        attachOperation(exchange.request, op)
        capture = captureNodeResponse(req, res, {
          maxBytes: guard.maxResponseBytes,
          passThroughHeaders: (headers) => guard.passThroughHeaders(keyed, headers),
        })
        const { fail } = capture
        // What the framework itself answers after a throw is the response; only an unanswered throw ends up here.
        new Promise((resolve) => resolve(exchange.next(capture))).catch(fail)
        return capture.response.catch((error: unknown) => {
          // Here, inside the operation, it is known what the error says of it, and what only of one nested in it.
          verdict = verdictOn(error)
          throw error
        })
      },
    })
    if (answer.kind === 'send') reply(answer)
  } catch (error) {
    // Before the work began nothing can have happened: the fault is the guard's, and the framework's to report.
    if (!began) throw error
    reply(thrownAnswer(error, verdict, onServerError))
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
function thrownAnswer(
  error: unknown,
  verdict: Verdict | undefined,
  onServerError: OnServerError,
): SendAnswer {
  const effect =
    verdict?.kind === 'no-effect' || (!verdict && onServerError === 'release') ? 'none' : 'unknown'
  const isHeld = effect === 'unknown' && !verdict && onServerError === 'hold'
  const code = isHeld ? 'OUTCOME_UNKNOWN' : 'OPERATION_FAILED'
  const failed = `The handler failed; ${effect === 'none' ? 'nothing happened' : 'its effect may have happened'}.`
  return problemAnswer(new OncewardError(code, undefined, { effect, cause: error }), {
    summary: isHeld ? ERRORS.OUTCOME_UNKNOWN.summary : failed,
    status: 500,
  })
}
