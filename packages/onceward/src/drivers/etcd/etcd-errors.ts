import { type ErrorCode, isOncewardError, type OncewardError } from '../../core/errors.ts'
import { failure } from '../../core/failure.ts'
import { type EtcdJson, objectIn } from './etcd-fetch.ts'

export { failure }

/** Codes of gRPC that the gateway hands through (https://grpc.io/docs/guides/status-codes). */
export const GRPC = {
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  UNIMPLEMENTED: 12,
  UNAVAILABLE: 14,
  UNAUTHENTICATED: 16,
} as const

/** An error that etcd itself has answered. */
export class EtcdRefusal extends Error {
  override readonly name: string = 'EtcdRefusal'
  readonly grpc: number

  constructor(grpc: number, message: string) {
    super(message)
    this.grpc = grpc
  }

  /** Another member may answer otherwise: this one is cut off, is leaving, or has lost its leader. */
  get isOfThisMember(): boolean {
    return this.grpc === GRPC.UNAVAILABLE || this.grpc === GRPC.DEADLINE_EXCEEDED
  }

  /** The token of the log-in is of the past. */
  get wantsLogin(): boolean {
    return this.grpc === GRPC.UNAUTHENTICATED || /revision of auth store is old/.test(this.message)
  }
}

/** What an error reply says. The gateway has worded them in three ways over its versions. */
export function refusalOf(json: EtcdJson): EtcdRefusal {
  const inner = { ...json, ...objectIn(json, 'error') }
  const text = inner['message'] ?? inner['error']
  return new EtcdRefusal(Number(inner['grpc_code'] ?? inner['code'] ?? 0), String(text ?? 'an unknown error'))
}

/** What a failed call means, with the mend. Errors of ours are answered as they are. */
export function etcdFailure(error: unknown, where: string): OncewardError {
  if (isOncewardError(error)) return error
  if (!(error instanceof EtcdRefusal)) {
    return failure('STORE_UNAVAILABLE', `${where} cannot be reached: ${reasonOf(error)}`, error)
  }
  const [code, mend] = meaning(error)
  return failure(code, `${where} answered "${error.message}": ${mend}`, error)
}

function meaning({ grpc, message }: EtcdRefusal): readonly [code: ErrorCode, mend: string] {
  if (/user name is empty/.test(message)) return ['STORE_MISCONFIGURED', 'it asks for a user; pass `auth`']
  switch (grpc) {
    case GRPC.PERMISSION_DENIED:
      return ['STORE_MISCONFIGURED', 'give the role of this user readwrite on everything below the prefix']
    case GRPC.UNAUTHENTICATED:
    case GRPC.INVALID_ARGUMENT:
      return /authentication failed|auth/.test(message)
        ? ['STORE_MISCONFIGURED', 'the user name or the password of `auth` is wrong; correct it']
        : ['STORE_MISCONFIGURED', 'raise the limit of the server that it names']
    case GRPC.FAILED_PRECONDITION:
      return /not enabled/.test(message)
        ? ['STORE_MISCONFIGURED', 'it knows no users; leave out `auth`, or enable authentication']
        : ['STORE_MISCONFIGURED', 'look at its log']
    case GRPC.RESOURCE_EXHAUSTED:
      return /space exceeded/.test(message)
        ? ['STORE_FULL', 'compact and defragment it, then run `etcdctl alarm disarm`']
        : ['STORE_UNAVAILABLE', 'it has too much to do; ask again later']
    case GRPC.UNIMPLEMENTED:
      return ['STORE_MISCONFIGURED', 'use etcd 3.4 or later']
    default:
      return ['STORE_UNAVAILABLE', 'look at the health of the cluster, and whether it has a leader']
  }
}

/** `fetch` says only that it failed; the reason is its cause. */
function reasonOf(error: unknown): string {
  const { cause } = error as { cause?: unknown }
  const { code, message } = (cause ?? error) as { code?: unknown; message?: unknown }
  return String(message || code || error)
}
