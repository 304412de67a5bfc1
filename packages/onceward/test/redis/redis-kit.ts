import { randomBytes } from 'node:crypto'
import { expect } from 'vitest'
import { isOncewardError, type OncewardError } from '../../src/core/errors.ts'
import { operationId } from '../../src/core/identity.ts'
import type { ClaimReply, ClaimRequest, OperationId, Outcome } from '../../src/core/index.ts'
import type { OperationStore } from '../../src/core/store.ts'

/** An operation nobody has used. */
export function someId(key: string = randomBytes(9).toString('base64url'), scope = 'redis'): OperationId {
  return operationId(scope, key)
}

/** A claim under a fresh owner, for a minute. */
export function asks(id: OperationId, over: Partial<ClaimRequest> = {}): ClaimRequest {
  const owner = randomBytes(12).toString('base64url')
  return { id, owner, leaseMs: 60_000, retentionMs: 600_000, onCrash: 'hold', ...over }
}

/** Claims, and requires that it is granted. */
export async function granted(
  store: OperationStore,
  request: ClaimRequest,
): Promise<Extract<ClaimReply, { state: 'claimed' }>> {
  const reply = await store.claim(request)
  expect(reply.state).toBe('claimed')
  return reply as Extract<ClaimReply, { state: 'claimed' }>
}

/** A value outcome. */
export function receipt(text = 'receipt'): Outcome {
  return { kind: 'value', value: new TextEncoder().encode(text) }
}

/** The error of ours with which a call fails. */
export async function failureOf(call: Promise<unknown>): Promise<OncewardError> {
  const error = await call.then(
    (value) => expect.fail(`it answered ${JSON.stringify(value)} instead of failing`),
    (thrown: unknown) => thrown,
  )
  if (!isOncewardError(error)) expect.fail(`not one of our errors: ${String(error)}`)
  return error
}

/** Repeats a call until it succeeds, as the engine does. */
export async function eventually<T>(call: () => Promise<T>, ms = 15_000): Promise<T> {
  const until = Date.now() + ms
  for (;;) {
    try {
      return await call()
    } catch (error) {
      if (Date.now() >= until || !isOncewardError(error)) throw error
      await new Promise((resolve) => setTimeout(resolve, 25))
    }
  }
}
