import { type Adapter, asHandle, can, deferredSession, noTransaction } from './adapted-session.ts'

/** The part of a Knex transaction that is used. */
interface KnexTransaction {
  /** Hands out the connection of this transaction, every time the same. */
  readonly client: { acquireConnection(): Promise<unknown> }
  isCompleted(): boolean
}

/** A transaction of Knex over pg or mysql2: the session has the driver's own connection. */
export const knexSession: Adapter = (handle, dialect, open) => {
  if (typeof handle !== 'function' || !can(handle, 'raw') || !asHandle(handle['client'])) return undefined
  if (handle['isTransaction'] !== true) {
    throw noTransaction(
      'a Knex instance',
      'pass the `trx` that `knex.transaction(async (trx) => …)` hands you',
    )
  }
  const transaction = handle as unknown as KnexTransaction
  const connection = async () => open(await transaction.client.acquireConnection())
  return deferredSession(dialect, connection, () => !transaction.isCompleted())
}
