import type { Effect } from 'onceward'

/** The code of a problem of the gateway's own making. */
export type ProblemCode =
  | 'request-invalid'
  | 'request-timeout'
  | 'header-too-large'
  | 'upstream-unreachable'
  | 'upstream-timeout'
  | 'upstream-broken'
  | 'gateway-failed'
  | 'loop-detected'

/** What is fixed about one problem that the gateway itself answers with. `docs/gateway.md` has the same table. */
export interface ProblemEntry {
  readonly statuses: readonly number[]
  /** `by effect`: only when nothing happened, or where the route says `onServerError: release`. */
  readonly retryable: 'yes' | 'no' | 'by effect'
  readonly effects: readonly Effect[]
  readonly meaning: string
  readonly mend: string
}

/** Every problem of the gateway's own making, beside those of the library. */
export const PROBLEM_CODES: Readonly<Record<ProblemCode, ProblemEntry>> = {
  'request-invalid': {
    statuses: [400],
    retryable: 'no',
    effects: ['none'],
    meaning: 'The request cannot be read in one way only.',
    mend: 'Mend the client, or the proxy before the gateway; `detail` says what is wrong.',
  },
  'request-timeout': {
    statuses: [408],
    retryable: 'yes',
    effects: ['none'],
    meaning: 'The header or the body came too slowly.',
    mend: 'Send it again; raise `headersTimeoutMs` or `bodyTimeoutMs` for slow clients.',
  },
  'header-too-large': {
    statuses: [431],
    retryable: 'no',
    effects: ['none'],
    meaning: 'The header has too many lines or bytes.',
    mend: 'Send fewer or smaller fields (cookies, mostly), or raise `maxHeaders`.',
  },
  'upstream-unreachable': {
    statuses: [502],
    retryable: 'yes',
    effects: ['none'],
    meaning: 'Nobody listens at the upstream.',
    mend: 'Start the service, or correct `upstream`; then send it again with the same key.',
  },
  'upstream-timeout': {
    statuses: [504],
    retryable: 'by effect',
    effects: ['none', 'unknown'],
    meaning:
      'No connection in time (effect `none`), or no answer within `upstreamTimeoutMs` of sending (`unknown`).',
    mend: 'Raise `upstreamTimeoutMs` above what the service may take. With effect `unknown` the operation is held: find out, and resolve it.',
  },
  'upstream-broken': {
    statuses: [502],
    retryable: 'by effect',
    effects: ['unknown'],
    meaning: 'The connection to the service broke before its answer was whole.',
    mend: 'Look why the service broke off. The operation is held: find out what happened, and resolve it.',
  },
  'gateway-failed': {
    statuses: [500],
    retryable: 'no',
    effects: ['unknown'],
    meaning: 'The gateway itself failed: a fault of ours.',
    mend: 'Report it with the log line that names the error.',
  },
  'loop-detected': {
    statuses: [508],
    retryable: 'no',
    effects: ['none'],
    meaning: 'The request came back to the gateway that had sent it on.',
    mend: 'Point `upstream` at the service, not at the gateway or at a proxy that leads back to it.',
  },
}
