import { essentialMediaType, isJsonType } from './media-type.ts'
import type { NodeRequest } from './node-types.ts'
import type { ParsedBody } from './types.ts'

/** What is left of a request's body. */
export type BodyReading =
  | { readonly kind: 'body'; readonly body: Uint8Array | ParsedBody }
  | { readonly kind: 'too-large' }
  /** The client has gone before the body was complete. */
  | { readonly kind: 'aborted' }
  /** Something mounted earlier has consumed it, and what it left does not tell two bodies apart. */
  | { readonly kind: 'consumed' }

/** The mend for a body that cannot be told from others any more. */
export const CONSUMED_BODY: string =
  'the request body was read before idempotency() could; mount it before the parser (also before one of uploads), or let ' +
  'the parser keep the bytes as req.rawBody, for example express.json({ verify: (req, res, bytes) => { req.rawBody = bytes } })'

/**
 * Reads the body without taking it away: the bytes are put back, so that a parser mounted later finds them.
 *
 * Where a parser was mounted earlier, its `req.rawBody` counts, else the bytes or text it left; JSON and form values
 * count by their canonical form. Of anything else (multipart parts stored away) nothing is guessed.
 */
export async function readNodeBody(
  req: NodeRequest,
  maxBytes: number,
  left: LeftBody = req,
): Promise<BodyReading> {
  const kept = (req as Keeping)[BODY]
  if (kept) return bounded(kept, maxBytes)
  if (!hasBody(req)) return { kind: 'body', body: new Uint8Array() }
  if (req.readableDidRead || req.readableEnded) return leftBody(req, left, maxBytes)
  const reading = await readAndPutBack(req, maxBytes)
  // A second reader of the same request (a guard on a route inside a guarded router) finds it here.
  if (reading.kind === 'body') Object.defineProperty(req, BODY, { value: reading.body })
  return reading
}

/** Where a parser leaves the body: the request of node:http, or that of the framework. */
export type LeftBody = Pick<NodeRequest, 'rawBody' | 'body'>

const BODY = Symbol('onceward.body')

interface Keeping {
  readonly [BODY]?: Uint8Array
}

function hasBody(req: NodeRequest): boolean {
  // HTTP/2 needs to announce nothing.
  if (req.httpVersionMajor > 1) return true
  return req.headers['transfer-encoding'] !== undefined || Number(req.headers['content-length'] ?? 0) > 0
}

function leftBody(req: NodeRequest, left: LeftBody, maxBytes: number): BodyReading {
  for (const one of [left.rawBody, left.body]) {
    if (one instanceof Uint8Array) return bounded(one, maxBytes)
    if (typeof one === 'string') return bounded(Buffer.from(one), maxBytes)
  }
  const mediaType = essentialMediaType(req.headers['content-type'])
  const isData = isJsonType(mediaType) || mediaType.startsWith('application/x-www-form-urlencoded')
  const parsed = left.body ?? req.body
  return isData && parsed !== undefined ? { kind: 'body', body: { parsed } } : { kind: 'consumed' }
}

function bounded(body: Uint8Array, maxBytes: number): BodyReading {
  return body.byteLength > maxBytes ? { kind: 'too-large' } : { kind: 'body', body }
}

async function readAndPutBack(req: NodeRequest, maxBytes: number): Promise<BodyReading> {
  // Bytes that came with the head are still being parsed; after this turn the stream knows whether there are more.
  await Promise.resolve()
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    let size = 0
    const finish = (reading: BodyReading) => {
      req.off('readable', onReadable).off('end', onReadable).off('error', onGone).off('close', onGone)
      resolve(reading)
    }
    const onReadable = () => {
      // Reading from an empty stream that has ended would make it say so, and a parser mounted later would wait for ever.
      while (req.readableLength > 0) {
        const chunk: Buffer | null = req.read()
        if (chunk === null) break
        size += chunk.byteLength
        if (size > maxBytes) {
          finish({ kind: 'too-large' })
          return
        }
        chunks.push(chunk)
      }
      if (!isComplete(req)) return
      const body = Buffer.concat(chunks, size)
      // In the same tick as the last read: the stream looks for bytes put back once more before it says that it ended.
      if (size > 0) req.unshift(body)
      finish({ kind: 'body', body })
    }
    const onGone = () => finish({ kind: 'aborted' })
    if (req.destroyed) onGone()
    else if (isComplete(req) && req.readableLength === 0) finish({ kind: 'body', body: new Uint8Array() })
    else req.on('readable', onReadable).on('end', onReadable).on('error', onGone).on('close', onGone)
  })
}

/** Requests of HTTP/2 count as complete only once they were read to the end; what their stream knows comes earlier. */
function isComplete(req: NodeRequest): boolean {
  const { complete, _readableState } = req as { complete?: boolean; _readableState?: { ended?: boolean } }
  return complete === true || _readableState?.ended === true
}
