import { refuseUnknown, wholeNumber, written } from '../../core/known-fields.ts'
import type { ReplicaWait } from './redis-connection.ts'

/** Checks what keys and channels begin with. @throws `TypeError` naming what it must be. */
export function checkedPrefix(prefix: unknown): string {
  // Braces would be taken for a hash tag, and wildcards for a pattern of an access list.
  if (typeof prefix === 'string' && /^[\w.:-]{1,64}$/.test(prefix)) return prefix
  throw new TypeError(`prefix must be 1 to 64 letters, digits, "_", "-", "." or ":", not ${written(prefix)}`)
}

/** Checks what is waited for. @throws `TypeError` naming what is wrong. */
export function checkedWait(wait: ReplicaWait): ReplicaWait {
  refuseUnknown('wait', wait, ['replicas', 'timeoutMs'])
  return {
    replicas: wholeNumber('wait.replicas', wait.replicas, 1, 1000),
    // For Redis 0 means for ever.
    timeoutMs: wholeNumber('wait.timeoutMs', wait.timeoutMs, 1, 60_000),
  }
}
