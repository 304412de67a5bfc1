import assert from 'node:assert/strict'
import { isOncewardError } from '../../core/errors.ts'
import type { Claim } from '../../core/operation.ts'
import type {
  ClaimReply,
  ClaimRequest,
  OperationStore,
  StoreCapabilities,
  TransactionalStore,
} from '../../core/store.ts'
import { LONG_MS, outcomeOf } from '../case-kit.ts'
import type { StoreCase } from '../store-harness.ts'
import type { OpenedTransactionalStore, TransactionAbility } from '../transaction-conformance.ts'

/** A store that can join a business transaction. */
export type Store<Tx> = OperationStore & TransactionalStore<Tx>
export type Opened<Tx> = OpenedTransactionalStore<Store<Tx>, Tx>

/** A case, and what its harness must be able to do. */
export interface TransactionCase<Tx> extends StoreCase<Store<Tx>, Opened<Tx>> {
  readonly needs?: readonly TransactionAbility[]
}

/** Something that happens once and can be waited for. */
export function signal<T = void>(): { readonly raised: Promise<T>; raise(value: T): void } {
  let resolve: (value: T) => void = () => {}
  const raised = new Promise<T>((settle) => {
    resolve = settle
  })
  return { raised, raise: (value) => resolve(value) }
}

/** One order: claim, business write, completion; nothing of it when the claim is not granted. */
export function order<Tx>(
  store: Store<Tx>,
  opened: Opened<Tx>,
  tx: Tx,
  request: ClaimRequest,
  row = 'order',
): ClaimReply | Promise<ClaimReply> {
  return chain(store.claimIn(tx, request), (reply) => {
    if (reply.state !== 'claimed') return reply
    return chain(opened.insert(tx, row), () =>
      chain(store.completeIn(tx, reply.claim, outcomeOf('receipt'), LONG_MS), (accepted) => {
        assert.equal(accepted, true, 'the owner may complete in its transaction')
        return reply
      }),
    )
  })
}

/** Goes on at once with a value, later with a promise: a synchronous store is never made to wait. */
export function chain<A, B>(value: A | Promise<A>, next: (value: A) => B | Promise<B>): B | Promise<B> {
  return value instanceof Promise ? value.then(next) : next(value)
}

/** What `act` throws, now or later. */
export function caught(act: () => unknown): unknown {
  try {
    const value = act()
    if (!(value instanceof Promise)) return undefined
    return value.then(
      () => undefined,
      (error: unknown) => error,
    )
  } catch (error) {
    return error
  }
}

export async function failureOf(run: Promise<unknown>): Promise<unknown> {
  return run.then(
    () => assert.fail('the transaction must fail'),
    (error: unknown) => error,
  )
}

/** What `run` answers; a rejection is a broken rule. */
export async function fulfilled<T>(why: string, run: Promise<T>): Promise<T> {
  return run.catch((error: unknown) => {
    if (error instanceof assert.AssertionError) throw error
    return assert.fail(`${why}, and is not refused: ${String(error)}`)
  })
}

export function claimOf(reply: ClaimReply): Claim {
  if (reply.state !== 'claimed') assert.fail(`the claim is granted, not ${reply.state}`)
  return reply.claim
}

export function assertRetryable(error: unknown): void {
  assert.ok(
    isOncewardError(error) && error.retryable,
    `a transaction that lost a race may be retried, not ${String(error)}`,
  )
}

export function pick<Tx>(stores: readonly Store<Tx>[], index: number): Store<Tx> {
  const store = stores[index % stores.length]
  assert.ok(store, 'the harness opens at least two connections')
  return store
}

export function unlessKind(kind: 'sync' | 'async'): (capabilities: StoreCapabilities) => string | undefined {
  return ({ transactional }) =>
    transactional === kind ? undefined : `the transactions of the store are not ${kind}`
}
