import type { ServerResponse } from 'node:http'
import type { Effect } from 'onceward'
import type { ProblemCode } from './problem-codes.ts'

/** A refusal or failure of the gateway itself, as `application/problem+json` (RFC 9457). */
export interface GatewayProblem {
  readonly status: number
  readonly code: ProblemCode
  readonly title: string
  readonly detail?: string
  readonly retryable: boolean
  readonly effect: Effect
  readonly retryAfterSeconds?: number
  /** The `Idempotency-Key` as it was sent, which every answer to a keyed request repeats. */
  readonly echo?: string
}

/** The bytes of a problem document. */
export function problemBody(problem: GatewayProblem): Buffer {
  const { status, code, title, detail, retryable, effect } = problem
  const document = {
    type: `urn:onceward:problem:${code}`,
    title,
    status,
    ...(detail === undefined ? {} : { detail }),
    code,
    retryable,
    effect,
  }
  return Buffer.from(JSON.stringify(document))
}

/** Sends a problem, unless an answer has begun already; then the connection is cut, which no client takes for success. */
export function sendProblem(response: ServerResponse, problem: GatewayProblem, close = false): void {
  if (response.headersSent) {
    response.destroy()
    return
  }
  const body = problemBody(problem)
  if (close) response.shouldKeepAlive = false
  response.writeHead(problem.status, {
    'Content-Type': 'application/problem+json',
    'Content-Length': body.length,
    'Cache-Control': 'no-store',
    ...(problem.retryAfterSeconds === undefined ? {} : { 'Retry-After': String(problem.retryAfterSeconds) }),
    ...(problem.echo === undefined ? {} : { 'Idempotency-Key': problem.echo }),
  })
  response.end(body)
}

/** A problem as the raw bytes of a whole response, for sockets that have no response object. */
export function rawProblem(problem: GatewayProblem): Buffer {
  const body = problemBody(problem)
  const head =
    `HTTP/1.1 ${problem.status} ${problem.title}\r\nContent-Type: application/problem+json\r\n` +
    `Content-Length: ${body.length}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n`
  return Buffer.concat([Buffer.from(head, 'latin1'), body])
}

/** The request cannot be read in one way only. */
export function badRequest(detail: string): GatewayProblem {
  return {
    status: 400,
    code: 'request-invalid',
    title: 'Bad Request',
    detail,
    retryable: false,
    effect: 'none',
  }
}

/** The header has too many or too long fields. */
export function headerTooLarge(detail: string): GatewayProblem {
  return {
    status: 431,
    code: 'header-too-large',
    title: 'Request Header Fields Too Large',
    detail,
    retryable: false,
    effect: 'none',
  }
}

/** The request has been here before. */
export function loopDetected(): GatewayProblem {
  return {
    status: 508,
    code: 'loop-detected',
    title: 'Loop Detected',
    detail: 'The request came back to the gateway that had sent it on; its upstream leads back to it.',
    retryable: false,
    effect: 'none',
  }
}

/** The client took too long. */
export function tooSlow(detail: string): GatewayProblem {
  return {
    status: 408,
    code: 'request-timeout',
    title: 'Request Timeout',
    detail,
    retryable: true,
    effect: 'none',
  }
}
