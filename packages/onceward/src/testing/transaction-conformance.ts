import type { OperationStore, TransactionalStore } from '../core/store.ts'
import type { ConformanceCase } from './conformance-case.ts'
import { transactionCases } from './store-cases/transactions.ts'
import { bindCases, type OpenedStore, type StoreCase, type StoreHarness } from './store-harness.ts'

/** A transactional store opened for one case, with a business table in the same database. */
export interface OpenedTransactionalStore<S, Tx> extends OpenedStore<S> {
  /** Writes one business row inside the transaction. A sync store writes before it returns. */
  insert(tx: Tx, text: string): void | Promise<void>
  /** Every committed business row, through a connection of its own, in any order. */
  rows(): Promise<readonly string[]>
  /** A handle on which no transaction is open, for example the bare connection or pool. */
  outside(): Tx
}

/** What the suite needs to know of a transactional store. */
export interface TransactionHarness<S extends OperationStore & TransactionalStore<Tx>, Tx>
  extends Omit<StoreHarness<S>, 'open'> {
  /** Opens a fresh, empty, migrated store and an empty business table. */
  open(): Promise<OpenedTransactionalStore<S, Tx>>
}

/**
 * The rules every `TransactionalStore` keeps: the claim, the business write and the outcome commit together or not at
 * all. Sync and async stores are asked the same, each in its own manner.
 *
 * Limit: it cannot cut a connection in the middle of a COMMIT; that is for a fault harness.
 */
export function transactionConformance<S extends OperationStore & TransactionalStore<Tx>, Tx>(
  harness: TransactionHarness<S, Tx>,
): readonly ConformanceCase[] {
  return bindCases(
    harness,
    transactionCases<Tx>() as readonly StoreCase<S, OpenedTransactionalStore<S, Tx>>[],
  )
}
