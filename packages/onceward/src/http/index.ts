export { createGuard, type Guard } from './guard.ts'
export type {
  GuardedOnce,
  GuardOptions,
  IdempotencyOptions,
  OnServerError,
  QuotaOptions,
  ScopeOption,
} from './guard-options.ts'
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
// To come: normalizeTarget(target): { path, query } | undefined, responseCodec: Codec (CapturedResponse | OversizeResponse),
// problemAnswer(error: OncewardError): SendAnswer, stripRequestHeaders(headers): HeaderPairs, HOP_BY_HOP, isGuardedMethod.
