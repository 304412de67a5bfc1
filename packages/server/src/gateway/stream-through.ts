import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http'
import type { Dispatcher } from 'undici'
import { responseHeaders } from './forwarded-headers.ts'
import { sendProblem } from './problem.ts'
import { isWholeWithoutBody, type UpstreamFailure, upstreamFailure } from './upstream.ts'

/** One request that is passed on as it is. */
export interface Passage {
  readonly dispatcher: Dispatcher
  readonly request: IncomingMessage
  readonly response: ServerResponse
  /** Path and query. */
  readonly path: string
  readonly headers: string[]
  readonly onFailure: (failure: UpstreamFailure, error: unknown) => void
}

/**
 * Passes a request to the upstream and its answer back, both as streams with back-pressure: of either at most a few
 * buffers are in memory. When the client goes, the request to the upstream is given up.
 */
export function streamThrough(passage: Passage): void {
  const { dispatcher, request, response, path, headers, onFailure } = passage
  let controller: Dispatcher.DispatchController | undefined
  let ended = false
  let answered = 0
  const finish = (): void => {
    ended = true
    response.end()
  }
  const fail = (error: unknown): void => {
    if (ended) return
    ended = true
    // A response that is destroyed or complete has nobody to be told.
    if (response.destroyed || response.writableEnded) return
    const failure = upstreamFailure(error, controller !== undefined)
    onFailure(failure, error)
    sendProblem(
      response,
      {
        status: failure.status,
        code: failure.code,
        title: failure.status === 504 ? 'Gateway Timeout' : 'Bad Gateway',
        detail: failure.detail,
        retryable: failure.neverSent,
        effect: failure.neverSent ? 'none' : 'unknown',
      },
      !request.complete,
    )
  }
  response.once('close', () => {
    if (!ended) controller?.abort(new Error('the client has gone'))
  })
  const resume = (): void => controller?.resume()
  try {
    dispatcher.dispatch(
      {
        path,
        method: request.method as Dispatcher.HttpMethod,
        headers,
        body: hasBody(request) ? request : null,
      },
      {
        onRequestStart(started) {
          controller = started
          if (response.destroyed) started.abort(new Error('the client has gone'))
        },
        onResponseStart(started, status, parsed, statusMessage) {
          if (status < 200) return
          answered = status
          const raw = (started.rawHeaders ?? []) as Buffer[]
          // With nothing set on the response before, Node writes this list as it is: repeated fields, case and order.
          response.writeHead(status, reasonPhrase(status, statusMessage), headersOf(status, raw))
          // A stream of events or a long poll: its header is worth having before its first byte. Where a length is
          // announced the bytes follow at once, and share a packet with the header.
          if (parsed['content-length'] === undefined && request.method !== 'HEAD') response.flushHeaders()
        },
        onResponseData(started, chunk) {
          if (response.write(chunk)) return
          started.pause()
          response.once('drain', resume)
        },
        onResponseEnd: finish,
        onResponseError(_started, error) {
          if (isWholeWithoutBody(answered, error)) finish()
          else fail(error)
        },
      },
    )
  } catch (error) {
    fail(error)
  }
}

/** The phrase as it was sent, unless it is one that Node refuses to write: services put text in their own charset there. */
function reasonPhrase(status: number, sent: string | undefined): string {
  return sent !== undefined && /^[\t\x20-\x7e]*$/.test(sent) ? sent : (STATUS_CODES[status] ?? '')
}

/** The fields of a response; a 204 has no length (RFC 9110 section 8.6), whatever its service says. */
function headersOf(status: number, raw: readonly (Buffer | string)[]): string[] {
  const fields = responseHeaders(raw)
  if (status !== 204) return fields
  return fields.filter((_, index) => fields[index - (index % 2)]?.toLowerCase() !== 'content-length')
}

/** Whether a request announces a body. */
export function hasBody(request: IncomingMessage): boolean {
  const { headers } = request
  if (headers['transfer-encoding'] !== undefined) return true
  const length = headers['content-length']
  return length !== undefined && length !== '0'
}
