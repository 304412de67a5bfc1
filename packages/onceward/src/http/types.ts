import type { Operation } from '../core/once-types.ts'
import type { OperationId } from '../core/operation.ts'

/** Field names and values in the order sent, repeated fields kept apart. Names compare without regard to case. */
export type HeaderPairs = readonly (readonly [name: string, value: string])[]

/** What is known of a request before its body. */
export interface RequestHead {
  readonly method: string
  /** The request target as received: path and query, still percent-encoded. The absolute form is understood too. */
  readonly target: string
  /** As received: repeated fields kept apart, so that a repeated key can be refused. */
  readonly headers: HeaderPairs
}

/** A whole response as a handler or an upstream gave it. */
export interface CapturedResponse {
  readonly status: number
  readonly headers: HeaderPairs
  readonly body: Uint8Array
}

/** What is remembered of a response that was too large to be stored: it has been passed through to its client already. */
export interface OversizeResponse {
  readonly tooLarge: true
  readonly status: number
  /** The `Location` field, if there was one. */
  readonly location?: string
}

/** What the work answered: a whole response, or what is remembered of one that was too large. */
export type WorkResult = CapturedResponse | OversizeResponse

/** A guarded request: what `admit` made of its head. */
export interface KeyedRequest {
  readonly method: string
  /** The normalised path. */
  readonly path: string
  /** The query as received, without the question mark. */
  readonly query: string
  /** Type and subtype in lower case, with a charset other than UTF-8. Empty when there is none. */
  readonly mediaType: string
  /** The key, unquoted, or the one-time token. Absent only where it is in the body or derived from it. */
  readonly key?: string
  /** The field as it was sent, to be echoed. Absent with a derived key, and with a token from another place. */
  readonly echo?: string
  /** How long this caller is willing to wait for a running duplicate, in ms: `Prefer: wait=n`, capped. */
  readonly waitMs: number
  readonly headers: HeaderPairs
}

/** What becomes of a request, seen from its head. */
export type Admission =
  /** Not guarded: hand it on untouched. */
  | { readonly kind: 'pass' }
  /** Answer this and run nothing. */
  | { readonly kind: 'refuse'; readonly answer: SendAnswer }
  /** Guarded: read the body (at most `guard.maxBodyBytes`) and call `handle`. */
  | { readonly kind: 'keyed'; readonly request: KeyedRequest }

/** An answer that is still to be sent. */
export interface SendAnswer {
  readonly kind: 'send'
  readonly status: number
  /** Everything to send except `Content-Length` and what the connection itself adds. */
  readonly headers: HeaderPairs
  readonly body: Uint8Array
  /** Where it comes from: this request's own run, a stored outcome, or a refusal by the guard (a problem document). */
  readonly from: 'executed' | 'replayed' | 'refused'
  /** The operation, for logs: print its digest only. */
  readonly operation?: OperationId
  /** The problem code of a refusal, such as `key-reused`. */
  readonly code?: string
}

/** What the client is to get. */
export type HttpAnswer =
  | SendAnswer
  /** The work has passed its response through by itself (it was too large to hold back): send nothing. */
  | { readonly kind: 'sent'; readonly operation?: OperationId }

/**
 * Runs the handler or asks the upstream, once.
 *
 * It answers the whole response, or `tooLarge` after it has begun to pass one through. It throws when there is no
 * response: `noEffect(error)` says that nothing happened; any other throw follows `onServerError`.
 * `op` is absent only when the guard fails open: the store is down and nothing is remembered.
 */
export type Work = (op: Operation | undefined) => Promise<WorkResult>

/** One guarded request with all it takes to run it. */
export interface Handling {
  readonly request: KeyedRequest
  /** Who asks, as authenticated; `undefined` or an empty text is refused with 401 `scope-missing`. */
  readonly caller: string | undefined
  /** The body as received, or the value a body parser left of it. */
  readonly body: Uint8Array | ParsedBody
  readonly work: Work
  /** Aborts when the client has gone: it ends the waiting for another's run, never the work itself. */
  readonly signal?: AbortSignal
}

/** A body of which a parser mounted earlier left only the value. */
export interface ParsedBody {
  readonly parsed: unknown
}
