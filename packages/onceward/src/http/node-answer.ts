import { isAscii } from 'node:buffer'
import { setPairs } from './node-headers.ts'
import type { NodeRequest, NodeResponse } from './node-types.ts'
import type { HeaderPairs, SendAnswer } from './types.ts'

/** Sends an answer by the given methods, with the length its body has. */
export function sendWith(
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
  Reflect.apply(real.end, res, bodiless ? [] : inOnePiece(body))
}

/** The largest body that is joined to its head, in bytes. */
const MAX_JOINED_BYTES = 16_384

/**
 * A short ASCII body as text, which `node:http` sends in one write with the head; bytes take a second one. ASCII is the
 * same bytes in every encoding that a wrapper of `res.end` may choose; the head, which is sent in the encoding of the
 * body, needs latin-1.
 */
function inOnePiece(body: Uint8Array): readonly unknown[] {
  if (body.byteLength > MAX_JOINED_BYTES || !isAscii(body)) return [body]
  return [Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('latin1'), 'latin1']
}

/** HTTP/2 has no status messages, and warns of who asks. */
export function messageOf(req: NodeRequest, res: NodeResponse): string | undefined {
  return req.httpVersionMajor > 1 ? undefined : res.statusMessage
}

/** Sends the head. */
export function startSending(
  res: NodeResponse,
  writeHead: NodeResponse['writeHead'],
  status: number,
  statusMessage: string | undefined,
): void {
  // An empty message is one that was never set: node:http then says the usual one.
  Reflect.apply(writeHead, res, statusMessage ? [status, statusMessage] : [status])
}

/** Sets these fields and no others. */
export function replaceHeaders(res: NodeResponse, headers: HeaderPairs): void {
  for (const name of res.getHeaderNames()) res.removeHeader(name)
  setPairs(res, headers)
}

/** Whether a response of this status never has a body. */
export function hasNoBody(status: number): boolean {
  return status === 204 || status === 304
}
