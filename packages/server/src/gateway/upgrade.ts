import {
  type ClientRequest,
  request as httpRequest,
  type IncomingMessage,
  type RequestOptions,
} from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { Duplex } from 'node:stream'
import { responseHeaders } from './forwarded-headers.ts'
import { badRequest, rawProblem } from './problem.ts'
import { upstreamFailure } from './upstream.ts'

/** A WebSocket handshake to pass on. */
export interface UpgradePassage {
  readonly origin: URL
  readonly path: string
  readonly request: IncomingMessage
  readonly socket: Duplex
  /** What the client has sent after the handshake already. */
  readonly head: Buffer
  readonly headers: string[]
  readonly timeoutMs: number
  readonly onFailure: (error: unknown) => void
}

/** Whether an upgrade is one that is passed on: WebSocket by GET. Nothing else is, `h2c` least of all. */
export function isWebSocket(request: IncomingMessage): boolean {
  return request.method === 'GET' && request.headers.upgrade?.trim().toLowerCase() === 'websocket'
}

/** Turns an upgrade away. */
export function refuseUpgrade(socket: Duplex, detail: string): void {
  socket.on('error', () => socket.destroy())
  socket.end(rawProblem(badRequest(detail)))
}

/** Passes a WebSocket handshake on and, once the upstream agrees, every byte in both directions. */
export function passUpgrade(passage: UpgradePassage): ClientRequest {
  const { origin, path, request, socket, head, headers, timeoutMs, onFailure } = passage
  const open = origin.protocol === 'https:' ? httpsRequest : httpRequest
  const handshake: RequestOptions = {
    host: origin.hostname.replace(/^\[|\]$/g, ''),
    ...(origin.port === '' ? {} : { port: Number(origin.port) }),
    method: 'GET',
    path,
    headers: [...headers, 'Connection', 'Upgrade', 'Upgrade', 'websocket'],
    setHost: false,
    agent: false,
  }
  const outgoing = open(handshake)
  outgoing.setTimeout(timeoutMs, () =>
    outgoing.destroy(Object.assign(new Error('timeout'), { code: 'ETIMEDOUT' })),
  )
  socket.on('error', () => outgoing.destroy())
  socket.once('close', () => outgoing.destroy())
  outgoing.once('upgrade', (answer, upstream, first) => {
    upstream.setTimeout(0)
    // The handshake's own fields are of this hop, and belong to it.
    socket.write(
      statusLine(answer) +
        fieldLines([...responseHeaders(answer.rawHeaders), 'Connection', 'Upgrade', 'Upgrade', 'websocket']),
      'latin1',
    )
    if (first.length > 0) socket.write(first)
    if (head.length > 0) upstream.write(head)
    upstream.on('error', () => socket.destroy())
    upstream.once('close', () => socket.destroy())
    socket.once('close', () => upstream.destroy())
    upstream.pipe(socket)
    socket.pipe(upstream)
  })
  outgoing.once('response', (answer) => {
    socket.write(
      statusLine(answer) + fieldLines([...responseHeaders(answer.rawHeaders), 'Connection', 'close']),
      'latin1',
    )
    answer.pipe(socket)
  })
  outgoing.once('error', (error) => {
    if (socket.destroyed) return
    onFailure(error)
    const failure = upstreamFailure(error, false)
    socket.end(
      rawProblem({
        status: failure.status,
        code: failure.code,
        title: 'Bad Gateway',
        detail: 'The service could not be reached.',
        retryable: true,
        effect: 'none',
      }),
    )
  })
  outgoing.end()
  return outgoing

  function statusLine(answer: IncomingMessage): string {
    return `HTTP/${request.httpVersion} ${answer.statusCode ?? 502} ${answer.statusMessage ?? ''}\r\n`
  }
}

function fieldLines(pairs: readonly string[]): string {
  let lines = ''
  for (let index = 0; index < pairs.length; index += 2) lines += `${pairs[index]}: ${pairs[index + 1]}\r\n`
  return `${lines}\r\n`
}
