import type { OperationRecord } from '../../core/operation.ts'
import type { TransactionalStore } from '../../core/store.ts'
import * as transitions from '../../core/transitions.ts'
import { sqliteConnections } from '../../drivers/database/index.ts'
import {
  assertSchema,
  refusePromise,
  type SqliteHandle,
  sqliteFailure,
  writeTransaction,
} from '../../drivers/sqlite/index.ts'
import { copyOfOutcome } from './copy-of-record.ts'
import { recordTable } from './record-table.ts'
import type { StoreContext } from './store-context.ts'

/** {@link TransactionalStore} of a synchronous driver: what is called inside a transaction answers at once. */
export interface SyncTransactions<Tx> extends TransactionalStore<Tx> {
  savepoint<T>(tx: Tx, body: () => T | Promise<T>): T
  claimIn(
    tx: Tx,
    request: Parameters<TransactionalStore<Tx>['claimIn']>[1],
  ): Exclude<ReturnType<TransactionalStore<Tx>['claimIn']>, Promise<unknown>>
  completeIn(
    tx: Tx,
    claim: Parameters<TransactionalStore<Tx>['completeIn']>[1],
    outcome: Parameters<TransactionalStore<Tx>['completeIn']>[2],
    retentionMs: number,
  ): boolean
}

/** What else the transactions of a store need. */
export interface TransactionParts {
  readonly context: StoreContext
  /** Brings the store's own connection up before its first transaction. */
  ready(): Promise<void>
  /** Is told of each record that a committed transaction of the store itself has ended. */
  onEnded(digest: string): void
}

/** Takes the write lock in a transaction that was begun without it; matches no row. */
const TAKE_WRITE_LOCK = 'UPDATE onceward_migrations SET number = number WHERE 0'

/** Makes the transaction methods of a store. Statements are prepared once a handle. */
export function storeTransactions<Tx extends SqliteHandle>(parts: TransactionParts): SyncTransactions<Tx> {
  const { context } = parts
  const open = sqliteConnections(context.connection)
  const checked = new WeakSet<SqliteHandle>()
  /** The records ended by the transaction that the store runs itself at this moment. */
  let ended: Set<string> | undefined

  const inside = <Reply>(
    tx: Tx,
    digest: string,
    step: (found: OperationRecord | undefined, now: number) => transitions.Transition<Reply>,
  ): Reply => {
    const connection = open(tx)
    try {
      if (!checked.has(connection.handle)) assertSchema(connection)
      connection.prepare(TAKE_WRITE_LOCK).run()
      checked.add(connection.handle)
      const table = recordTable(connection)
      const found = table.read([digest]).get(digest)
      if (found && 'fault' in found) throw found.fault
      const { write, reply, audit } = step(found?.record, context.clock.now())
      if (write) table.write(write, found)
      if (audit) table.writeAudit(audit)
      if (write && write.state !== 'running') ended?.add(digest)
      return reply
    } catch (error) {
      throw sqliteFailure(error, connection.path)
    }
  }

  return {
    async transaction(body) {
      await parts.ready()
      const { connection } = context
      const touched = new Set<string>()
      const value = await writeTransaction(context, () => {
        ended = touched
        touched.clear()
        try {
          const answer = refusePromise(body(connection.handle as Tx), 'a transaction on SQLite')
          if (!connection.inTransaction()) {
            // Misuse, and no word about the effect: what was committed cannot be undone here.
            throw new TypeError(
              'the body ended its transaction itself; leave COMMIT and ROLLBACK to the store',
            )
          }
          return { answer }
        } finally {
          ended = undefined
        }
      })
      for (const digest of touched) parts.onEnded(digest)
      return value.answer
    },
    assertInTransaction: (tx) => void open(tx),
    savepoint(tx, body) {
      const connection = open(tx)
      connection.prepare('SAVEPOINT onceward').run()
      try {
        const answer = refusePromise(body(), 'a savepoint on SQLite')
        connection.prepare('RELEASE onceward').run()
        return answer
      } catch (error) {
        // SQLite has undone the whole transaction already after some errors.
        if (connection.inTransaction()) {
          connection.prepare('ROLLBACK TO onceward').run()
          connection.prepare('RELEASE onceward').run()
        }
        throw error
      }
    },
    claimIn: (tx, request) =>
      inside(tx, request.id.digest, (found, now) => transitions.claim(found, request, now)),
    completeIn: (tx, claim, outcome, retentionMs) =>
      inside(tx, claim.id.digest, (found, now) =>
        transitions.complete(found, claim, copyOfOutcome(outcome), retentionMs, now),
      ),
  }
}
