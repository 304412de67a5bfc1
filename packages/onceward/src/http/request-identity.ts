import { createHash } from 'node:crypto'
import { callerScope, MAX_KEY_BYTES, MAX_SCOPE_BYTES } from '../core/identity.ts'

/** The methods that are guarded. All others pass through, with a key or without. */
export const GUARDED_METHODS: readonly string[] = ['POST', 'PATCH', 'PUT', 'DELETE']

/**
 * The key of an operation: `METHOD path key`, which operators can read. Neither method nor path holds a space, so no
 * two requests share one by chance. When it exceeds 1,024 bytes, the path gives way to its digest.
 */
export function operationKey(method: string, path: string, key: string): string {
  const readable = `${method} ${path} ${key}`
  if (key.isWellFormed() && Buffer.byteLength(readable) <= MAX_KEY_BYTES) return readable
  const digest = createHash('sha256')
    .update(`${Buffer.byteLength(path)}:${path}`)
    .update(key, 'utf16le')
  return `${method} sha256:${digest.digest('base64url')}`
}

/** The scope of an operation: namespace and caller. A caller too long to be stored is replaced by its digest. */
export function operationScope(namespace: string, caller: string): string {
  return callerScope(namespace, storableCaller(namespace, caller))
}

/** The caller as it stands in a scope: itself, or its digest where it is too long to be stored. */
export function storableCaller(namespace: string, caller: string): string {
  const fits = caller.isWellFormed() && Buffer.byteLength(callerScope(namespace, caller)) <= MAX_SCOPE_BYTES
  return fits ? caller : `sha256:${createHash('sha256').update(caller, 'utf16le').digest('base64url')}`
}
