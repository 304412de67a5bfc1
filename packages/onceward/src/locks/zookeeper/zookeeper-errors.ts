import { isOncewardError, type OncewardError } from '../../core/errors.ts'
import { failure } from '../../core/failure.ts'

export { failure }

/** Codes of ZooKeeper that mean something here. */
export const ZK = {
  CONNECTION_LOSS: -4,
  OPERATION_TIMEOUT: -7,
  NO_NODE: -101,
  NO_AUTH: -102,
  BAD_VERSION: -103,
  NODE_EXISTS: -110,
  NOT_EMPTY: -111,
  SESSION_EXPIRED: -112,
  INVALID_ACL: -114,
  AUTH_FAILED: -115,
} as const

/** A condition of a transaction that did not hold. */
export type Unmet = 'no-node' | 'changed' | 'exists' | 'not-empty'

const UNMET: Readonly<Record<number, Unmet>> = {
  [ZK.NO_NODE]: 'no-node',
  [ZK.BAD_VERSION]: 'changed',
  [ZK.NODE_EXISTS]: 'exists',
  [ZK.NOT_EMPTY]: 'not-empty',
}

/** The condition that an error speaks of; nothing for a failure. */
export function unmetBy(error: unknown): Unmet | undefined {
  return UNMET[codeOf(error)]
}

/** What a failed call means, with the mend. */
export function zookeeperFailure(error: unknown, where: string): OncewardError {
  if (isOncewardError(error)) return error
  switch (codeOf(error)) {
    case ZK.SESSION_EXPIRED:
      return expired(where, error)
    case ZK.NO_AUTH:
      return failure(
        'STORE_MISCONFIGURED',
        `${where} does not let this client write below the prefix; correct the ACL there, or call client.addAuthInfo`,
        error,
      )
    case ZK.AUTH_FAILED:
    case ZK.INVALID_ACL:
      return failure(
        'STORE_MISCONFIGURED',
        `${where} refuses the log-in or the ACL of this client; correct it`,
        error,
      )
    default: {
      const text = error instanceof Error ? error.message : String(error)
      return failure('STORE_UNAVAILABLE', `${where} cannot be asked: ${text}`, error)
    }
  }
}

/** The client is of no more use. */
export function expired(where: string, cause?: unknown): OncewardError {
  return failure(
    'CLOSED',
    `the session of the client of ${where} has expired, and its locks are lost; make a new client and new locks`,
    cause,
  )
}

function codeOf(error: unknown): number {
  return Number((error as { code?: unknown } | undefined)?.code)
}
