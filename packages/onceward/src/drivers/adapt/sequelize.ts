import { type Adapter, asHandle, can, noTransaction } from './adapted-session.ts'

const MEND = 'pass the `t` that `sequelize.transaction(async (t) => …)` hands you'

/** A transaction of Sequelize over pg or mysql2: the session has the driver's own connection. */
export const sequelizeSession: Adapter = (handle, _dialect, open) => {
  if (can(handle, 'getDialect', 'transaction', 'define')) throw noTransaction('a Sequelize instance', MEND)
  const sequelize = asHandle(handle['sequelize'])
  if (!sequelize || !can(sequelize, 'getDialect') || !can(handle, 'commit', 'rollback')) return undefined
  const isOpen = () => handle['finished'] === undefined && asHandle(handle['connection']) !== undefined
  if (!isOpen()) throw noTransaction('this Sequelize transaction (any more)', MEND)
  return { ...open(handle['connection']), isOpen }
}
