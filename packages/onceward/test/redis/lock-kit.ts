import { randomBytes } from 'node:crypto'
import { expect } from 'vitest'
import type { AcquireReply, AcquireRequest, LockBackend } from '../../src/locks/lock-backend.ts'
import { eventually } from './redis-kit.ts'

/** A request under a fresh token, for a minute. */
export function asksFor(key: string, over: Partial<AcquireRequest> = {}): AcquireRequest {
  return {
    key,
    token: randomBytes(12).toString('base64url'),
    mode: 'exclusive',
    permits: 1,
    ttlMs: 60_000,
    owner: 'worker 1',
    ...over,
  }
}

/** Acquires, and requires that it is granted. */
export async function heldBy(
  backend: LockBackend,
  key: string,
  over: Partial<AcquireRequest> = {},
): Promise<AcquireRequest & { readonly fence: number }> {
  const request = asksFor(key, over)
  const reply = await backend.acquire(request)
  expect(reply).toMatchObject({ granted: true })
  return { ...request, fence: fenceOf(reply) }
}

/**
 * Repeats an acquisition until it is answered, under one token: one whose answer came too late holds the lock, and would be
 * in the way of another token.
 */
export function eventuallyHeldBy(
  backend: LockBackend,
  key: string,
  over: Partial<AcquireRequest> = {},
): Promise<AcquireRequest & { readonly fence: number }> {
  const { token } = asksFor(key)
  return eventually(() => heldBy(backend, key, { token, ...over }))
}

/** The fence of a grant; 0 where there is none. */
export function fenceOf(reply: AcquireReply): number {
  return (reply.granted && reply.fence) || 0
}

/** Counts the wakes of a token. */
export function listens(backend: LockBackend, held: { readonly key: string; readonly token: string }) {
  let wakes = 0
  const leave = backend.watch?.(held, () => wakes++)
  return { wakes: () => wakes, leave: () => leave?.() }
}
