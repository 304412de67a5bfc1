import type { OnCrash } from '../core/operation.ts'
import type { OperationStore } from '../core/store.ts'

/** A request as the application behind the middleware or the gateway sees it. */
export interface AppRequest {
  readonly method: string
  /** Without the query. */
  readonly path: string
  /** Without the question mark; empty when there is none. */
  readonly query: string
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly body: Uint8Array
}

/** How the application makes its answer, in the idiom of its framework. */
export type AppIdiom =
  /** In one piece: `res.end`, `reply.send`, `ctx.body`, `new Response`. */
  | 'end'
  /** The framework's way to send JSON: `res.json` and the like. The body is JSON text. */
  | 'json'
  /** As a stream, one chunk after the other. */
  | 'stream'
  /** Straight to `node:http`, past the framework, where there is such a way. */
  | 'raw'
  /** The framework's way to redirect to the value of the `location` field. */
  | 'redirect'

/** What the application answers. */
export interface AppResponse {
  readonly status: number
  readonly headers?: readonly (readonly [name: string, value: string])[]
  /** Text, bytes, or chunks (only with `stream`). Absent: none. A chunk source that throws breaks the answer off midway. */
  readonly body?: string | Uint8Array | AsyncIterable<Uint8Array>
  /** Default `end`. */
  readonly idiom?: AppIdiom
}

/** An application, free of any framework. A rejection is thrown inside the framework's handler. */
export type HttpApplication = (request: AppRequest) => Promise<AppResponse>

/** What a case asks of the middleware or gateway. A binding maps it onto its options. */
export interface HttpSetupOptions {
  /** Who shares keys: everybody, or those with the same value of a request field. */
  readonly scope: 'public' | { readonly header: string }
  readonly requireKey?: boolean
  readonly waitMs?: number
  readonly maxBodyBytes?: number
  readonly maxResponseBytes?: number
  readonly onServerError?: 'hold' | 'store' | 'release'
  readonly onCrash?: OnCrash
  readonly leaseMs?: number
  readonly retentionMs?: number
  /** The most new operations a scope may start in a minute. Needs `quota`. */
  readonly quota?: number
  /** The most duplicates that may wait for one operation. Needs `maxWaiters`. */
  readonly maxWaiters?: number
  /** How long one call may try to reach the store. Needs `store`. */
  readonly storeTimeoutMs?: number
  /** Runs the application unguarded while the store is down. Needs `store`. */
  readonly failOpen?: boolean
  /** Fingerprints canonical JSON instead of bytes. Needs `canonicalJson`. */
  readonly canonicalJson?: boolean
  /** A function of the user's that breaks on every guarded request. Needs `userFunctions`. */
  readonly broken?: BrokenFunction
}

/** Which function of the user's breaks, and how. `deriveKey` is then given in place of the field. */
export interface BrokenFunction {
  readonly of: 'scope' | 'deriveKey'
  readonly how: 'throws' | 'rejects'
}

/** What a case starts. */
export interface HttpSetup {
  readonly app: HttpApplication
  readonly options: HttpSetupOptions
  /** Decides before the middleware whether a request may pass; a refusal is a bare 403. Needs `authorization`. */
  readonly authorize?: (request: Pick<AppRequest, 'headers'>) => boolean
  /** Put around the store that the engine is given. Needs `store`. */
  readonly wrapStore?: (store: OperationStore) => OperationStore
}

/** A started middleware or gateway, listening on a port of this machine. */
export interface HttpTarget {
  readonly port: number
  /** Ends it, its application and its store; resolves also while requests hang. */
  close(): Promise<void>
}

/** Starts what is to be tested. Each start has its own, empty store. */
export type StartHttp = (setup: HttpSetup) => Promise<HttpTarget>

/** What only some targets can be asked for. */
export type HttpCapability =
  /** The store can be wrapped, so that its failures can be played. */
  | 'store'
  /** Something can stand before it that decides who may pass. */
  | 'authorization'
  /** A throw of the application reaches it, and with it the mark of `noEffect`. */
  | 'throws'
  /** It decides before the framework has read the body. */
  | 'unreadBody'
  | 'quota'
  | 'maxWaiters'
  | 'canonicalJson'
  /** It is given functions of the user's (`scope`, `deriveKey`), which can break. */
  | 'userFunctions'

/** Options of the HTTP suites. */
export interface HttpConformanceOptions {
  /** What the target cannot be asked for, each with the reason: those cases are skipped. */
  readonly without?: Readonly<Partial<Record<HttpCapability, string>>>
  /** How long one wait for an answer may take before its case fails, in ms. Default 15,000. */
  readonly patienceMs?: number
}
