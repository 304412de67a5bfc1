import { aliveSocket } from './alive-socket.ts'
import { hasNoBody, messageOf, replaceHeaders, startSending } from './node-answer.ts'
import { responsePairs } from './node-headers.ts'
import type { NodeRequest, NodeResponse } from './node-types.ts'
import { oversizeResponse } from './oversize-response.ts'
import { overwrite } from './overwrite.ts'
import { EFFECT_FIELD, headerValue } from './response-headers.ts'
import { shadow } from './shadow.ts'
import type { HeaderPairs, WorkResult } from './types.ts'

/** What the capture needs to know. */
export interface CaptureOptions {
  readonly maxBytes: number
  /** The fields to send when the response is passed through. */
  readonly passThroughHeaders: (headers: HeaderPairs) => HeaderPairs
}

/** The methods of a request and its response as the capture found them. */
type RealMethods = Pick<NodeResponse, 'writeHead' | 'write' | 'end' | 'flushHeaders' | 'destroy' | 'emit'> & {
  readonly destroyRequest: NodeRequest['destroy']
}

/** What a capture knows of its response. */
export interface HeldResponse {
  readonly req: NodeRequest
  readonly res: NodeResponse
  readonly options: CaptureOptions
  readonly real: RealMethods
  /** Settles when the response is complete, too large to hold back, or broken off. */
  readonly response: Promise<WorkResult>
  readonly resolve: (response: WorkResult) => void
  readonly reject: (error: unknown) => void
  /** What hides from the handler that nothing has been sent, or that its client has gone. */
  readonly disguises: { remove(): void }[]
  readonly chunks: Buffer[]
  sizeBytes: number
  /** Whether what is written is still kept back. */
  holding: boolean
  hasHead: boolean
  hasEnded: boolean
  /** Whether the client has gone: the response is told of it when it is let go. */
  isGone: boolean
  /** That the request was destroyed, which is done when the response is let go. */
  destroyedWith: { readonly error: Error | undefined } | undefined
  /** What the error that the framework was thrown says of its effect. */
  effect: 'none' | 'done' | undefined
}

/** Begins to hold `res` back. Its methods are still the real ones. */
export function holdResponse(req: NodeRequest, res: NodeResponse, options: CaptureOptions): HeldResponse {
  const { writeHead, write, end, flushHeaders, destroy, emit } = res
  let resolve: (response: WorkResult) => void
  let reject: (error: unknown) => void
  const response = new Promise<WorkResult>((onDone, onBroken) => {
    resolve = onDone
    reject = onBroken
  })
  // It may break off before anybody looks.
  response.catch(() => {})
  const held: HeldResponse = {
    req,
    res,
    options,
    real: { writeHead, write, end, flushHeaders, destroy, emit, destroyRequest: req.destroy },
    response,
    resolve: (complete) => resolve(complete),
    reject: (error) => reject(error),
    disguises: [],
    chunks: [],
    sizeBytes: 0,
    holding: true,
    hasHead: false,
    hasEnded: false,
    isGone: false,
    destroyedWith: undefined,
    effect: undefined,
  }
  disguise(held)
  return held
}

function disguise(held: HeldResponse): void {
  const { req, res, disguises } = held
  const socket = (actual: unknown) => aliveSocket(actual, () => held.holding)
  // A response that waits for the one before it on the connection is given its socket later.
  if (res.socket) disguises.push(overwrite(res, { socket: socket(res.socket) }))
  else disguises.push(shadow(res, { socket }))
  forgetWatchers(res)
  // A parser that finds the socket closed takes the body for lost, and the handler would run without it.
  disguises.push(overwrite(req, { socket: socket(req.socket) }))
}

/** Keeps the head back: to the handler it is sent. */
export function holdHead(held: HeldResponse): void {
  held.hasHead = true
  held.disguises.push(overwrite(held.res, { _header: 'held back' }))
}

/** Keeps the end back: to the handler the response is complete. */
export function holdEnd(held: HeldResponse): void {
  held.hasEnded = true
  held.disguises.push(overwrite(held.res, { finished: true }))
}

/** Keeps from the handler that the client has gone. */
export function hideClose(held: HeldResponse): void {
  held.isGone = true
  held.disguises.push(shadow(held.res, { destroyed: () => false, _closed: () => false }))
}

/**
 * `on-finished` keeps one list of listeners a message, which watches the real socket if it was begun earlier (by Koa).
 * Those who join from now on begin another, on the socket that seems alive; the earlier list still works.
 */
function forgetWatchers(res: NodeResponse): void {
  if (Object.hasOwn(res, '__onFinished')) Object.assign(res, { __onFinished: null })
}

/** Ends the holding back, and with it the disguise. Nothing is sent yet. */
export function letGo(held: HeldResponse): void {
  held.holding = false
  for (const one of held.disguises) one.remove()
  if (held.destroyedWith) held.real.destroyRequest.call(held.req, held.destroyedWith.error)
}

/** The fields of the response so far, with the effect that the framework's error page does not tell. */
export function heldHeaders({ res, effect }: HeldResponse): HeaderPairs {
  const pairs = responsePairs(res)
  if (effect === undefined || headerValue(pairs, EFFECT_FIELD) !== undefined) return pairs
  return [...pairs, [EFFECT_FIELD, effect]]
}

/** Writes the head unless the handler has. */
export function writeHeadOnce({ hasHead, res }: HeldResponse): void {
  if (!hasHead) res.writeHead(res.statusCode)
}

/** Keeps one more chunk. The one that is too many ends the holding back. */
export function holdChunk(held: HeldResponse, chunk: Buffer): void {
  writeHeadOnce(held)
  if (hasNoBody(held.res.statusCode)) return
  held.chunks.push(chunk)
  held.sizeBytes += chunk.byteLength
  if (held.sizeBytes > held.options.maxBytes) passThrough(held)
}

/** Sends everything that was held back; what the handler writes from now on follows. */
function passThrough(held: HeldResponse): void {
  const { req, res, real, chunks } = held
  const headers = heldHeaders(held)
  const status = res.statusCode
  letGo(held)
  replaceHeaders(res, held.options.passThroughHeaders(headers))
  startSending(res, real.writeHead, status, messageOf(req, res))
  for (const chunk of chunks) Reflect.apply(real.write, res, [chunk])
  chunks.length = 0
  held.resolve(oversizeResponse(status, headers))
  if (held.isGone) real.emit.call(res, 'close')
}
