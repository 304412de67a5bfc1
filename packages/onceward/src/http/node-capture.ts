import { verdictOn } from '../core/errors.ts'
import { aliveSocket } from './alive-socket.ts'
import { responsePairs, setPairs, writeHeadPairs } from './node-headers.ts'
import type { NodeRequest, NodeResponse } from './node-types.ts'
import { oversizeResponse } from './oversize-response.ts'
import { EFFECT_FIELD, headerValue } from './response-headers.ts'
import { shadow } from './shadow.ts'
import type { HeaderPairs, SendAnswer, WorkResult } from './types.ts'

/** A response that is held back while its handler writes it. */
export interface NodeCapture {
  /** Settles when the response is complete, too large to hold back, or broken off. */
  readonly response: Promise<WorkResult>
  /** Ends the capture: there will be no response. */
  fail(error: unknown): void
  /** Notes what the framework was thrown, so that its mark (`noEffect`, `finalFailure`) counts for the error page. */
  judge(error: unknown): void
  /** Stops holding back and sends `answer` instead of what was captured. */
  send(answer: SendAnswer): void
}

/** What the capture needs to know. */
export interface CaptureOptions {
  readonly maxBytes: number
  /** The fields to send when the response is passed through. */
  readonly passThroughHeaders: (headers: HeaderPairs) => HeaderPairs
}

/**
 * Holds back what a handler writes to `res`: head, chunks, streams, the end. To the handler it looks as if it was
 * sent, and as if the client was still there: a client who goes does not stop the work.
 *
 * Libraries that wrapped `res` earlier (compression, sessions) see the answer when it is really sent; those that wrap
 * it later are part of what is captured. Beyond `maxBytes` everything held back is sent and the rest passes through.
 */
export function captureNodeResponse(
  req: NodeRequest,
  res: NodeResponse,
  options: CaptureOptions,
): NodeCapture {
  const real = {
    writeHead: res.writeHead,
    write: res.write,
    end: res.end,
    flushHeaders: res.flushHeaders,
    destroy: res.destroy,
    emit: res.emit,
    destroyRequest: req.destroy,
  }
  const chunks: Buffer[] = []
  let size = 0
  let holding = true
  let hasHead = false
  let hasEnded = false
  let isGone = false
  let destroyedWith: { readonly error: Error | undefined } | undefined
  let effect: 'none' | 'done' | undefined
  let resolve: (response: WorkResult) => void
  let reject: (error: unknown) => void
  const response = new Promise<WorkResult>((onDone, onBroken) => {
    resolve = onDone
    reject = onBroken
  })
  // It may break off before anybody looks.
  response.catch(() => {})

  const shadows = shadow(res, {
    _header: (actual) => (hasHead ? 'held back' : actual),
    finished: (actual) => hasEnded || actual,
    destroyed: () => false,
    _closed: () => false,
    socket: (actual) => aliveSocket(actual, () => holding),
  })
  forgetWatchers(res)
  // A parser that finds the socket closed takes the body for lost, and the handler would run without it.
  const requestShadows = shadow(req, { socket: (actual) => aliveSocket(actual, () => holding) })

  const letGo = (): void => {
    holding = false
    shadows.remove()
    requestShadows.remove()
    if (destroyedWith) real.destroyRequest.call(req, destroyedWith.error)
  }
  const captured = (): HeaderPairs => {
    const pairs = responsePairs(res)
    const said = effect !== undefined && headerValue(pairs, EFFECT_FIELD) === undefined
    return said ? [...pairs, [EFFECT_FIELD, effect as string]] : pairs
  }
  const writeHeadOnce = (): void => {
    if (!hasHead) res.writeHead(res.statusCode)
  }
  const passThrough = (): void => {
    const headers = captured()
    const status = res.statusCode
    letGo()
    replaceHeaders(res, options.passThroughHeaders(headers))
    startSending(res, real.writeHead, status, messageOf(req, res))
    for (const chunk of chunks) Reflect.apply(real.write, res, [chunk])
    chunks.length = 0
    resolve(oversizeResponse(status, headers))
    if (isGone) real.emit.call(res, 'close')
  }
  const hold = (chunk: Buffer): void => {
    writeHeadOnce()
    if (hasNoBody(res.statusCode)) return
    chunks.push(chunk)
    size += chunk.byteLength
    if (size > options.maxBytes) passThrough()
  }

  const patched = {
    writeHead(status: number, ...rest: unknown[]) {
      if (!holding) return Reflect.apply(real.writeHead, res, [status, ...rest])
      if (hasHead) throw headersSent()
      if (!(status >= 100 && status <= 999)) throw invalidStatus(status)
      const headers = writeHeadPairs(typeof rest[0] === 'string' ? rest[1] : (rest[1] ?? rest[0]))
      res.statusCode = status
      if (typeof rest[0] === 'string') res.statusMessage = rest[0]
      setPairs(res, headers)
      hasHead = true
      return res
    },
    write(chunk: unknown, ...rest: unknown[]) {
      if (!holding) return Reflect.apply(real.write, res, [chunk, ...rest])
      const done = callbackOf(rest)
      if (hasEnded) return false
      hold(bytesOf(chunk, rest[0]))
      if (done) process.nextTick(done)
      return true
    },
    end(...args: unknown[]) {
      if (!holding) return Reflect.apply(real.end, res, args)
      if (hasEnded) return res
      const done = callbackOf(args)
      const [chunk] = args
      if (done) res.once('finish', done)
      if (chunk !== undefined && chunk !== null && typeof chunk !== 'function') hold(bytesOf(chunk, args[1]))
      else writeHeadOnce()
      // The last chunk may have been the one too many.
      if (!holding) return Reflect.apply(real.end, res, [])
      hasEnded = true
      resolve({ status: res.statusCode, headers: captured(), body: Buffer.concat(chunks, size) })
      return res
    },
    flushHeaders() {
      if (holding) writeHeadOnce()
      else real.flushHeaders.call(res)
    },
    destroy(error?: Error) {
      if (!holding) return real.destroy.call(res, error)
      if (!hasEnded) reject(error ?? new Error('the handler broke its response off'))
      return res
    },
    emit(event: string | symbol, ...args: unknown[]) {
      if (!holding || event !== 'close') return real.emit.call(res, event, ...args)
      isGone = true
      return true
    },
  }
  Object.assign(res, patched)
  req.destroy = (error) => {
    // A stream destroys itself at its end: readers (`for await`, `finished`) wait for the close that follows.
    if (!holding || (req.readableEnded && req.complete)) return real.destroyRequest.call(req, error)
    destroyedWith = { error }
    return req
  }

  return {
    response,
    fail: (error) => reject(error),
    judge(error) {
      const verdict = verdictOn(error)
      if (verdict) effect = verdict.kind === 'no-effect' ? 'none' : 'done'
    },
    send(answer) {
      if (!holding) return
      letGo()
      const statusMessage = answer.from === 'executed' ? messageOf(req, res) : undefined
      replaceHeaders(res, answer.headers)
      sendWith(res, real, answer, statusMessage)
      if (isGone) real.emit.call(res, 'close')
    },
  }
}

/** Sends an answer on a response that nobody has written to. Fields set by earlier middleware stay unless the answer has its own. */
export function sendNodeAnswer(res: NodeResponse, answer: SendAnswer): void {
  if (res.headersSent) {
    res.destroy()
    return
  }
  // What CORS middleware has just said is about this request; what is stored was about another.
  const stored = answer.headers.filter(([name]) => !/^access-control-/i.test(name) || !res.hasHeader(name))
  setPairs(res, stored)
  sendWith(res, res, answer, undefined)
}

function sendWith(
  res: NodeResponse,
  real: Pick<NodeResponse, 'writeHead' | 'end'>,
  { status, body }: SendAnswer,
  statusMessage: string | undefined,
): void {
  res.statusCode = status
  const bodiless = hasNoBody(status)
  // Trailers can only follow a body sent in chunks.
  if (bodiless || res.hasHeader('trailer')) res.removeHeader('Content-Length')
  else res.setHeader('Content-Length', body.byteLength)
  startSending(res, real.writeHead, status, statusMessage)
  Reflect.apply(real.end, res, bodiless ? [] : [body])
}

/** HTTP/2 has no status messages, and warns of who asks. */
function messageOf(req: NodeRequest, res: NodeResponse): string | undefined {
  return req.httpVersionMajor > 1 ? undefined : res.statusMessage
}

function startSending(
  res: NodeResponse,
  writeHead: NodeResponse['writeHead'],
  status: number,
  statusMessage: string | undefined,
): void {
  // An empty message is one that was never set: node:http then says the usual one.
  Reflect.apply(writeHead, res, statusMessage ? [status, statusMessage] : [status])
}

function replaceHeaders(res: NodeResponse, headers: HeaderPairs): void {
  for (const name of res.getHeaderNames()) res.removeHeader(name)
  setPairs(res, headers)
}

function hasNoBody(status: number): boolean {
  return status === 204 || status === 304
}

function bytesOf(chunk: unknown, encoding: unknown): Buffer {
  if (typeof chunk === 'string') {
    return Buffer.from(chunk, typeof encoding === 'string' ? (encoding as BufferEncoding) : 'utf8')
  }
  // A copy: its owner may use the memory again once it believes the chunk sent.
  if (chunk instanceof Uint8Array) return Buffer.from(chunk)
  throw Object.assign(new TypeError('a chunk of a response must be a text or bytes'), {
    code: 'ERR_INVALID_ARG_TYPE',
  })
}

function callbackOf(args: readonly unknown[]): (() => void) | undefined {
  return args.find((arg): arg is () => void => typeof arg === 'function')
}

function headersSent(): Error {
  return Object.assign(new Error('Cannot write headers after they are sent to the client'), {
    code: 'ERR_HTTP_HEADERS_SENT',
  })
}

/** As `node:http` does, so that the handler learns of it, and not whoever sends its response later. */
function invalidStatus(status: unknown): Error {
  return Object.assign(new RangeError(`Invalid status code: ${String(status)}`), {
    code: 'ERR_HTTP_INVALID_STATUS_CODE',
  })
}

/**
 * `on-finished` keeps one list of listeners a message, which watches the real socket if it was begun earlier (by Koa).
 * Those who join from now on begin another, on the socket that seems alive; the earlier list still works.
 */
function forgetWatchers(res: NodeResponse): void {
  if (Object.hasOwn(res, '__onFinished')) Object.assign(res, { __onFinished: null })
}
