import { type Adapter, can, noTransaction } from './adapted-session.ts'

/** The part of a MikroORM EntityManager that is used. */
interface EntityManager {
  isInTransaction(): boolean
  /** The transaction of the query builder below: Knex up to version 6. */
  getTransactionContext(): unknown
}

/** The EntityManager of a MikroORM transaction: the session is that of the query builder below. */
export const mikroOrmSession: Adapter = (handle, _dialect, open) => {
  if (!can(handle, 'isInTransaction', 'getTransactionContext')) return undefined
  const em = handle as unknown as EntityManager
  if (!em.isInTransaction()) {
    throw noTransaction(
      'a MikroORM EntityManager',
      'pass the `em` that `orm.em.transactional(async (em) => …)` hands you',
    )
  }
  return open(em.getTransactionContext())
}
