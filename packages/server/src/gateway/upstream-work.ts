import type { ServerResponse } from 'node:http'
import { noEffect, type Operation } from 'onceward'
import type { CapturedResponse, HeaderPairs, OversizeResponse } from 'onceward/http'
import type { Dispatcher } from 'undici'
import { flat, pairsOf, withoutHopByHop } from './header-pairs.ts'
import { isWholeWithoutBody, type UpstreamFailure, upstreamFailure } from './upstream.ts'

/** One keyed request to the upstream. */
export interface UpstreamCall {
  readonly dispatcher: Dispatcher
  readonly method: string
  /** Path and query. */
  readonly path: string
  /** Everything but the fields that tell of the claim. */
  readonly headers: readonly string[]
  readonly body: Uint8Array
  /** The largest response that is held back, in bytes. */
  readonly maxResponseBytes: number
  /** Where a larger response goes; it may have been left by its client. */
  readonly response: ServerResponse
  /** The fields a larger response is sent with. */
  readonly passThroughHeaders: (headers: HeaderPairs) => HeaderPairs
}

/** The upstream gave no whole answer. */
export class UpstreamError extends Error {
  override readonly name: string = 'UpstreamError'
  readonly failure: UpstreamFailure

  constructor(failure: UpstreamFailure, cause: unknown) {
    super(failure.detail, { cause })
    this.failure = failure
  }
}

/**
 * Asks the upstream once and answers its whole response, or `tooLarge` once a response beyond the cap has begun to pass
 * through.
 *
 * Throws an {@link UpstreamError}, marked as without effect only when the request was never handed to a connection. A
 * response that breaks off is no response. The client's leaving changes nothing.
 */
export function askUpstream(
  call: UpstreamCall,
  op: Operation | undefined,
): Promise<CapturedResponse | OversizeResponse> {
  const headers = [...call.headers]
  if (op !== undefined)
    headers.push('Onceward-Fence', String(op.fence), 'Onceward-Attempt', String(op.attempt))
  return new Promise((resolve, reject) => {
    let sent = false
    let status = 0
    let fields: HeaderPairs = []
    let chunks: Uint8Array[] = []
    let size = 0
    let passing = false
    const { response } = call
    const fail = (error: unknown): void => {
      if (passing) return void response.destroy()
      const failure = upstreamFailure(error, sent)
      const reported = new UpstreamError(failure, error)
      reject(failure.neverSent ? noEffect(reported) : reported)
    }
    const passThrough = (): void => {
      passing = true
      if (!response.destroyed && !response.headersSent) {
        response.writeHead(status, flat(call.passThroughHeaders(fields)))
        for (const chunk of chunks) response.write(chunk)
      }
      chunks = []
      const location = fields.find(([name]) => name.toLowerCase() === 'location')?.[1]
      resolve({ tooLarge: true, status, ...(location === undefined ? {} : { location }) })
    }
    try {
      call.dispatcher.dispatch(
        {
          path: call.path,
          method: call.method as Dispatcher.HttpMethod,
          headers,
          body: call.body.byteLength === 0 ? null : call.body,
        },
        {
          onRequestStart() {
            sent = true
          },
          onResponseStart(controller, code) {
            if (code < 200) return
            status = code
            fields = withoutHopByHop(pairsOf((controller.rawHeaders ?? []) as Buffer[]))
            const length = Number(fields.find(([name]) => name.toLowerCase() === 'content-length')?.[1] ?? 0)
            if (length > call.maxResponseBytes && code !== 204 && code !== 304) passThrough()
          },
          onResponseData(controller, chunk) {
            if (!passing) {
              chunks.push(chunk)
              size += chunk.byteLength
              if (size > call.maxResponseBytes) passThrough()
              return
            }
            // What is left after the client has gone is read to its end: the connection stays usable.
            if (response.destroyed || response.write(chunk)) return
            controller.pause()
            const resume = (): void => {
              response.off('drain', resume)
              response.off('close', resume)
              controller.resume()
            }
            response.once('drain', resume)
            response.once('close', resume)
          },
          onResponseEnd() {
            if (passing) return void response.end()
            resolve({ status, headers: fields, body: Buffer.concat(chunks) })
          },
          onResponseError(_controller, error) {
            if (!passing && isWholeWithoutBody(status, error))
              resolve({ status, headers: fields, body: new Uint8Array() })
            else fail(error)
          },
        },
      )
    } catch (error) {
      fail(error)
    }
  })
}
