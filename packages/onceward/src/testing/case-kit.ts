/** The few words the cases are written in. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { operationId } from '../core/identity.ts'
import type { Claim, OperationId, OperationRecord, Outcome, StepRecord } from '../core/operation.ts'
import type { ClaimReply, ClaimRequest, OperationStore, Resolution } from '../core/store.ts'
import { systemTimers } from '../core/system.ts'

/** An operation nobody has used. */
export function someId(key: string = `key-${nonce()}`, scope = 'conformance'): OperationId {
  return operationId(scope, key)
}

/** A fresh owner nonce. */
export function nonce(): string {
  return randomBytes(12).toString('base64url')
}

/** A lease or retention that does not end within a case, in ms. */
export const LONG_MS = 3_600_000

/** A request to claim `id` under a fresh owner, with times that do not end within a case. */
export function asks(id: OperationId, over: Partial<ClaimRequest> = {}): ClaimRequest {
  return { id, owner: nonce(), leaseMs: LONG_MS, retentionMs: LONG_MS, onCrash: 'hold', ...over }
}

/** The member of a claim's answer with this state. */
export type ReplyIn<State extends ClaimReply['state']> = Extract<ClaimReply, { state: State }>

/** Claims, and requires the answer to be in `state`. */
export async function expectReply<State extends ClaimReply['state']>(
  store: OperationStore,
  request: ClaimRequest,
  state: State,
  why: string,
): Promise<ReplyIn<State>> {
  const reply = await store.claim(request)
  assert.equal(reply.state, state, why)
  return reply as ReplyIn<State>
}

/** Claims `id`, and requires that it is granted. */
export async function claimed(
  store: OperationStore,
  id: OperationId,
  over: Partial<ClaimRequest> = {},
  why = 'nothing stands in the way of this claim',
): Promise<Claim> {
  return (await expectReply(store, asks(id, over), 'claimed', why)).claim
}

/** Claims `id` and holds it. */
export async function heldBy(
  store: OperationStore,
  id: OperationId,
  over: Partial<ClaimRequest> = {},
): Promise<Claim> {
  const claim = await claimed(store, id, over)
  assert.equal(await store.hold(claim, 'the connection broke'), true, 'the owner may hold its operation')
  return claim
}

/** Claims `id` and completes it. */
export async function doneBy(
  store: OperationStore,
  id: OperationId,
  text = 'receipt',
  over: Partial<ClaimRequest> = {},
): Promise<Claim> {
  const claim = await claimed(store, id, over)
  assert.equal(
    await store.complete(claim, outcomeOf(text), over.retentionMs ?? LONG_MS),
    true,
    'the owner may complete',
  )
  return claim
}

/** A value outcome. */
export function outcomeOf(text: string): Outcome {
  return { kind: 'value', value: new TextEncoder().encode(text) }
}

/** A finished step. */
export function finished(name: string, text: string, onCrash: StepRecord['onCrash'] = 'hold'): StepRecord {
  return { name, state: 'done', onCrash, value: new TextEncoder().encode(text) }
}

/** A decision to make of a held operation. */
export function decides(fence: number, as: Resolution['as'], over: Partial<Resolution> = {}): Resolution {
  return { fence, as, actor: 'ada', reason: 'looked it up', ...over }
}

/** Reads a record that must be there. */
export async function recordOf(store: OperationStore, id: OperationId): Promise<OperationRecord> {
  const record = await store.get(id)
  assert.ok(record, 'the store must remember this operation')
  return record
}

/** Requires that `act` leaves the record as it is, to the last field. */
export async function leavesUntouched(
  store: OperationStore,
  id: OperationId,
  why: string,
  act: () => Promise<unknown>,
): Promise<void> {
  const before = await store.get(id)
  await act()
  assert.deepEqual(await store.get(id), before, why)
}

/** Requires equal outcomes; bytes are compared as bytes, whatever class carries them. */
export function sameOutcome(actual: Outcome | undefined, expected: Outcome, why: string): void {
  assert.deepEqual(plain(actual), plain(expected), why)
}

/** Requires equal steps; bytes are compared as bytes. */
export function sameSteps(actual: readonly StepRecord[], expected: readonly StepRecord[], why: string): void {
  assert.deepEqual(actual.map(plain), expected.map(plain), why)
}

/** Every transition an owner can ask for, by name. */
export const TRANSITIONS: Readonly<
  Record<
    'renew' | 'checkpoint' | 'complete' | 'release' | 'hold',
    (store: OperationStore, claim: Claim) => Promise<boolean>
  >
> = {
  renew: (store, claim) => store.renew(claim, LONG_MS),
  checkpoint: (store, claim) => store.checkpoint(claim, finished('charge', 'twice')),
  complete: (store, claim) => store.complete(claim, outcomeOf('too late'), LONG_MS),
  release: (store, claim) => store.release(claim),
  hold: (store, claim) => store.hold(claim, 'too late'),
}

/** Rejects when `promise` has not settled after `ms`, so that what must not hang is seen to. */
export function within<T>(ms: number, what: string, promise: Promise<T>): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const cancel = systemTimers.after(ms, () =>
      reject(new assert.AssertionError({ message: `${what} within ${ms} ms` })),
    )
    promise.then(resolve, reject).finally(cancel)
  })
}

/** Bytes as text, fields without a value left out, so that two carriers of the same data compare equal. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return `bytes:${Buffer.from(value).toString('hex')}`
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null) return value
  const fields = Object.entries(value).filter(([, field]) => field !== undefined)
  return Object.fromEntries(fields.map(([name, field]) => [name, plain(field)]))
}
