/** The few words the cases of locks are written in. */
import assert from 'node:assert/strict'
import { systemTimers } from '../core/system.ts'
import type { AcquireReply, AcquireRequest, LockBackend, LockView } from '../locks/lock-backend.ts'
import { LONG_MS, nonce } from './case-kit.ts'

/** A key nobody has used. */
export function someKey(): string {
  return `orders/${nonce()}`
}

/** A request under a fresh token, for a time that does not end within a case. */
export function asksFor(key: string, over: Partial<AcquireRequest> = {}): AcquireRequest {
  return {
    key,
    token: nonce(),
    mode: 'exclusive',
    permits: 1,
    ttlMs: LONG_MS,
    owner: 'worker 1',
    ...over,
  }
}

/** A request that keeps a place. */
export function waitsFor(key: string, over: Partial<AcquireRequest> = {}): AcquireRequest {
  return asksFor(key, { placeMs: LONG_MS, ...over })
}

/** A request to read. */
export function reads(key: string, over: Partial<AcquireRequest> = {}): AcquireRequest {
  return asksFor(key, { mode: 'shared', permits: Number.POSITIVE_INFINITY, ...over })
}

/** A request for one of `permits`. */
export function permitOf(key: string, permits: number, over: Partial<AcquireRequest> = {}): AcquireRequest {
  return asksFor(key, { mode: 'shared', permits, ...over })
}

/** A reply that grants. */
export type Grant = Extract<AcquireReply, { granted: true }>

/** Asks, and requires the lock. */
export async function granted(
  backend: LockBackend,
  request: AcquireRequest,
  why = 'nothing stands in the way of this request',
): Promise<Grant> {
  const reply = await backend.acquire(request)
  if (!reply.granted) assert.fail(`${why}; it was refused for ${reply.retryAfterMs} ms`)
  return reply
}

/** Asks, and requires to be refused. Answers after how many ms to ask again. */
export async function refused(backend: LockBackend, request: AcquireRequest, why: string): Promise<number> {
  const reply = await backend.acquire(request)
  if (reply.granted) assert.fail(`${why}; it was granted`)
  const { retryAfterMs } = reply
  assert.ok(
    Number.isFinite(retryAfterMs) && retryAfterMs > 0,
    `a refusal tells after how many ms to ask again, not ${retryAfterMs}`,
  )
  return retryAfterMs
}

/** A request that was granted. */
export interface Held extends AcquireRequest {
  readonly fence: number | undefined
}

/** Asks with a fresh token, and requires the lock. */
export async function heldBy(
  backend: LockBackend,
  key: string,
  over: Partial<AcquireRequest> = {},
  why?: string,
): Promise<Held> {
  const request = asksFor(key, over)
  const { fence } = await granted(backend, request, why)
  return { ...request, fence }
}

/** Requires that the token holds the lock, and does not change that: its end is moved far away. */
export async function stillHolds(
  backend: LockBackend,
  held: Pick<AcquireRequest, 'key' | 'token'>,
  why: string,
): Promise<void> {
  assert.deepEqual(await backend.extend([{ key: held.key, token: held.token, ttlMs: LONG_MS }]), [true], why)
}

/** Requires that the token holds nothing. */
export async function holdsNothing(
  backend: LockBackend,
  held: Pick<AcquireRequest, 'key' | 'token'>,
  why: string,
): Promise<void> {
  assert.deepEqual(await backend.extend([{ key: held.key, token: held.token, ttlMs: LONG_MS }]), [false], why)
  assert.equal((await backend.release(held)).released, false, why)
}

/** Looks at a lock that must be known. */
export async function viewOf(backend: LockBackend, key: string): Promise<LockView> {
  const view = await backend.inspect(key)
  assert.ok(view, 'the backend must know this lock')
  return view
}

/** How many hold the lock now. */
export async function holdersOf(backend: LockBackend, key: string): Promise<number> {
  return (await backend.inspect(key))?.holders.length ?? 0
}

/** How many have a place. */
export async function waitingFor(backend: LockBackend, key: string): Promise<number> {
  return (await backend.inspect(key))?.waiting ?? 0
}

/** Requires that each is greater than the one before. */
export function strictlyIncreasing(fences: readonly (number | undefined)[]): void {
  let before = 0
  for (const [index, fence] of fences.entries()) {
    assert.ok(
      fence !== undefined && Number.isSafeInteger(fence),
      `a fence is a safe integer, not ${String(fence)}`,
    )
    assert.ok(
      fence > before,
      `fences strictly increase: ${before} was followed by ${fence} (grant ${index + 1})`,
    )
    before = fence
  }
}

/** Lets a moment of real time go by, for what is asked again and again. */
export function aMoment(): Promise<void> {
  return new Promise((resolve) => {
    systemTimers.after(1 + Math.random() * 9, resolve)
  })
}
