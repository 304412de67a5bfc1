import type { Operation } from '../core/once-types.ts'
import { asked, callerOf } from './caller.ts'
import { createGuard, type Guard } from './guard.ts'
import type { IdempotencyOptions } from './guard-options.ts'
import { attachOperation, operationOf } from './operation-of.ts'
import { oversizeResponse } from './oversize-response.ts'
import type { KeyedRequest, SendAnswer } from './types.ts'
import { readUpTo, resume } from './web-body.ts'

/** One request of a framework that stands on the Web's `Request` and `Response`. */
export interface WebExchange<Subject extends object> {
  readonly request: Request
  /** What `scope` knows as the request. */
  readonly subject: Subject
  /** Where the body comes from when it was read before. */
  readonly readBefore?: () => Promise<ArrayBuffer>
  /** Runs the handler on a request whose body can still be read, and answers its response. */
  run(request: Request, op: Operation | undefined): Promise<Response>
}

/** Guards exchanges; `undefined` means that the request is not guarded and is to be handed on untouched. */
export type WebServe<Subject extends object> = (
  exchange: WebExchange<Subject>,
) => Promise<Response> | undefined

/** Makes the one way in which Hono and fetch handlers are served. */
export function createWebServe<Subject extends object>(
  options: IdempotencyOptions<Subject>,
): WebServe<Subject> {
  const caller = callerOf(options?.scope)
  const guard = createGuard(options)
  return (exchange) => {
    const { request, subject } = exchange
    // A guard inside a guarded handler: the outer one runs the operation already.
    if (operationOf(subject)) return undefined
    const { pathname, search } = new URL(request.url)
    const head = { method: request.method, target: pathname + search, headers: [...request.headers] }
    const admission = guard.admit(head)
    if (admission.kind === 'pass') return undefined
    if (admission.kind === 'refuse') return Promise.resolve(webResponse(admission.answer))
    return asked(caller, subject).then((who) =>
      who ? serve(guard, exchange, admission.request, who) : webResponse(guard.refuse('SCOPE_MISSING')),
    )
  }
}

async function serve<Subject extends object>(
  guard: Guard,
  exchange: WebExchange<Subject>,
  keyed: KeyedRequest,
  caller: string,
): Promise<Response> {
  const { request, readBefore } = exchange
  const body = await bodyOf(request, readBefore, guard.maxBodyBytes)
  if (body === undefined) return webResponse(guard.refuse('BODY_TOO_LARGE'))
  let passing: Response | undefined
  const answer = await guard.handle({
    request: keyed,
    caller,
    body,
    signal: request.signal,
    async work(op) {
      const fresh = freshRequest(request, body)
      attachOperation(fresh, op)
      const response = await exchange.run(fresh, op)
      const headers = [...response.headers]
      const read = await readUpTo(response.body, guard.maxResponseBytes)
      if (read.kind === 'whole') return { status: response.status, headers, body: read.bytes }
      const { status } = response
      passing = new Response(resume(read), {
        status,
        headers: guard
          .passThroughHeaders(keyed, headers)
          .map(([name, value]): [string, string] => [name, value]),
      })
      return oversizeResponse(status, headers)
    },
  })
  if (answer.kind === 'send') return webResponse(answer)
  if (passing) return passing
  throw new TypeError('a response that was passed through is gone')
}

async function bodyOf(
  request: Request,
  readBefore: (() => Promise<ArrayBuffer>) | undefined,
  maxBytes: number,
): Promise<Uint8Array | undefined> {
  if (!request.bodyUsed) {
    const read = await readUpTo(request.body as ReadableStream<Uint8Array> | null, maxBytes)
    if (read.kind === 'whole') return read.bytes
    await read.reader.cancel()
    return undefined
  }
  if (readBefore === undefined) {
    throw new TypeError(
      'the request body was read before idempotency() could; let it wrap the handler directly',
    )
  }
  const bytes = new Uint8Array(await readBefore())
  return bytes.byteLength > maxBytes ? undefined : bytes
}

/**
 * The same request with its body still to be read, of the same class (`NextRequest`) where that can be made. Its signal
 * does not abort: a client who goes does not stop the work.
 */
function freshRequest(request: Request, body: Uint8Array): Request {
  const { url, method, headers, redirect } = request
  const init: RequestInit = { method, headers, redirect }
  if (body.byteLength > 0) init.body = body as Uint8Array<ArrayBuffer>
  const Same = request.constructor as typeof Request
  return typeof Same === 'function' && Same.prototype instanceof Request
    ? new Same(url, init)
    : new Request(url, init)
}

/** The answer as a `Response`. */
export function webResponse({ status, headers, body }: SendAnswer): Response {
  const fields = new Headers(headers.map(([name, value]): [string, string] => [name, value]))
  // These have no body, and the constructor refuses one.
  if (status === 204 || status === 205 || status === 304)
    return new Response(null, { status, headers: fields })
  fields.set('Content-Length', `${body.byteLength}`)
  return new Response(body as Uint8Array<ArrayBuffer>, { status, headers: fields })
}
