import { verdictOn } from '../core/verdict.ts'
import { messageOf, replaceHeaders, sendWith } from './node-answer.ts'
import { setPairs } from './node-headers.ts'
import { patchMethods } from './node-held-methods.ts'
import { type CaptureOptions, holdResponse, letGo } from './node-held-response.ts'
import type { NodeRequest, NodeResponse } from './node-types.ts'
import type { SendAnswer, WorkResult } from './types.ts'

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
  const held = holdResponse(req, res, options)
  patchMethods(held)
  return {
    response: held.response,
    fail: held.reject,
    judge(error) {
      const verdict = verdictOn(error)
      if (verdict) held.effect = verdict.kind === 'no-effect' ? 'none' : 'done'
    },
    send(answer) {
      if (!held.holding) return
      letGo(held)
      const statusMessage = answer.from === 'executed' ? messageOf(req, res) : undefined
      replaceHeaders(res, answer.headers)
      sendWith(res, held.real, answer, statusMessage)
      if (held.isGone) held.real.emit.call(res, 'close')
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
