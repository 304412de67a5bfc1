/**
 * The HTTP layer without a framework: the guard that every `idempotency()` middleware and the gateway share.
 */
export { createGuard, type Guard } from './guard.ts'
export type {
  GuardedOnce,
  GuardOptions,
  GuardTokens,
  IdempotencyOptions,
  OnServerError,
  QuotaOptions,
  ScopeOption,
} from './guard-options.ts'
export { type KeyReading, MAX_HTTP_KEY_BYTES, readIdempotencyKey } from './idempotency-key.ts'
export { type NormalTarget, normalizeTarget } from './normalize-target.ts'
export { presentedToken, type TokenSource } from './presented-token.ts'
export { type ProblemDocument, problemAnswer, problemCode } from './problem.ts'
export { parseJson } from './request-fingerprint.ts'
export { GUARDED_METHODS, operationKey, operationScope } from './request-identity.ts'
export { responseCodec } from './response-codec.ts'
export { connectionFields, HOP_BY_HOP, headerValue, trustedRequestHeaders } from './response-headers.ts'
export { type IssueTokenOptions, type TokenCookie, type TokenIssuer, tokenIssuer } from './token-issuer.ts'
export type {
  Admission,
  CapturedResponse,
  Handling,
  HeaderPairs,
  HttpAnswer,
  KeyedRequest,
  OversizeResponse,
  ParsedBody,
  RequestHead,
  SendAnswer,
  Work,
} from './types.ts'
