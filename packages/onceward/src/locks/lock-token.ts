import type { HeldLock, LockMode } from './lock-backend.ts'
import { checkLockKey } from './lock-options.ts'

/** What the text of a token says. */
export interface TokenContent extends HeldLock {
  readonly mode: LockMode
  readonly ttlMs: number
  /** Of the lease whose token it is; absent where the backend has no fences. */
  readonly fence: number | undefined
}

/** `1.` mode `.` ttl `.` fence or `-` `.` nonce `.` key: the numbers in base 36, the key in base64url. */
const FORM = /^1\.([xs])\.([0-9a-z]{1,11})\.(-|[0-9a-z]{1,11})\.([\w-]{1,128})\.([\w-]{1,1024})$/

/** Writes a token that says by itself what it is the right to. It is URL-safe. */
export function writeToken({ key, token, mode, ttlMs, fence }: TokenContent): string {
  const initial = mode === 'exclusive' ? 'x' : 's'
  const number = fence === undefined ? '-' : fence.toString(36)
  return `1.${initial}.${ttlMs.toString(36)}.${number}.${token}.${Buffer.from(key).toString('base64url')}`
}

/** Reads a token. @throws `TypeError` for anything that {@link writeToken} does not write. */
export function readToken(text: string): TokenContent {
  const parts = typeof text === 'string' ? FORM.exec(text) : null
  if (parts) {
    const [, initial, ttl = '', fence = '', token = '', encoded = ''] = parts
    const content: TokenContent = {
      key: Buffer.from(encoded, 'base64url').toString(),
      token,
      mode: initial === 'x' ? 'exclusive' : 'shared',
      ttlMs: Number.parseInt(ttl, 36),
      fence: fence === '-' ? undefined : Number.parseInt(fence, 36),
    }
    if (writeToken(content) === text && Number.isSafeInteger(content.fence ?? 0)) {
      checkLockKey(content.key)
      return content
    }
  }
  // The text may be a right that was cut off or mangled on its way, so the message does not show it.
  throw new TypeError('attach needs the token of a lease, as lease.token gave it')
}
