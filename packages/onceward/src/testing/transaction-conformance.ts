import type { OperationStore, TransactionalStore } from '../core/store.ts'
import type { ConformanceCase } from './conformance-case.ts'
import { concurrentTransactionCases } from './store-cases/concurrent-transactions.ts'
import { joinedTransactionCases } from './store-cases/joined-transactions.ts'
import { transactionCases } from './store-cases/transactions.ts'
import { bindCases, type OpenedStore, type StoreCase, type StoreHarness } from './store-harness.ts'

/** The isolation of a transaction that a caller has begun. */
export type Isolation = 'read committed' | 'repeatable read' | 'serializable'

/** What a harness can do with a transaction beyond writing in it. */
export type TransactionAbility = 'kill' | 'endByHand' | 'fail' | 'begin' | 'conflict'

/** A transaction that was begun as a caller does it, beside the store. */
export interface CallerTransaction<Tx> {
  readonly tx: Tx
  commit(): Promise<void>
  /** Rolls back; harmless when the database has done so already. */
  rollback(): Promise<void>
}

/** A transactional store opened for one case, with a business table in the same database. */
export interface OpenedTransactionalStore<S, Tx> extends OpenedStore<S> {
  /** Writes one business row inside the transaction. A sync store writes before it returns. */
  insert(tx: Tx, text: string): void | Promise<void>
  /** Every committed business row, through a connection of its own, in any order. */
  rows(): Promise<readonly string[]>
  /** A handle on which no transaction is open, for example the bare connection or pool. */
  outside(): Tx
  /** Breaks the connection of an open transaction, as the end of its process does. */
  kill?(tx: Tx): Promise<void>
  /** Commits or rolls back the store's transaction behind its back. */
  endByHand?(tx: Tx, how: 'COMMIT' | 'ROLLBACK'): void | Promise<void>
  /** Runs a statement that the database refuses; rejects with the error of the driver. */
  fail?(tx: Tx): Promise<void>
  /** Begins a transaction of a caller's own. */
  begin?(isolation: Isolation): Promise<CallerTransaction<Tx>>
  /** An error as the driver throws it where the database has undone a transaction for the sake of another one. */
  conflict?(): unknown
}

/** What the suite needs to know of a transactional store. */
export interface TransactionHarness<S extends OperationStore & TransactionalStore<Tx>, Tx>
  extends Omit<StoreHarness<S>, 'open'> {
  /** Which of the optional members every opened store has; cases that need another one are left out, with the reason. */
  readonly abilities?: readonly TransactionAbility[]
  /** Opens a fresh, empty, migrated store and an empty business table. */
  open(): Promise<OpenedTransactionalStore<S, Tx>>
}

/**
 * The rules every `TransactionalStore` keeps: the claim, the business write and the outcome commit together or not at
 * all. Sync and async stores are asked the same, each in its own manner; an async one is also asked what becomes of
 * transactions that wait for each other, are undone by the server or lose their connection.
 *
 * Limit: it cannot cut a connection in the middle of a COMMIT; that is for a fault harness.
 */
export function transactionConformance<S extends OperationStore & TransactionalStore<Tx>, Tx>(
  harness: TransactionHarness<S, Tx>,
): readonly ConformanceCase[] {
  const able = new Set(harness.abilities)
  const cases = [
    ...transactionCases<Tx>(),
    ...concurrentTransactionCases<Tx>(),
    ...joinedTransactionCases<Tx>(),
  ]
  const asked = cases.map(({ needs, unless, ...one }) => {
    const missing = needs?.find((ability) => !able.has(ability))
    const why = missing && `the harness has no ${missing}`
    return { ...one, unless: (given: Parameters<NonNullable<typeof unless>>[0]) => unless?.(given) ?? why }
  })
  return bindCases(harness, asked as readonly StoreCase<S, OpenedTransactionalStore<S, Tx>>[])
}
