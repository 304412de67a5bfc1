import {
  type Adapter,
  asHandle,
  can,
  deferredSession,
  type Handle,
  noTransaction,
} from './adapted-session.ts'

/** The part of a TypeORM query runner that is used. */
interface QueryRunner {
  readonly isTransactionActive: boolean
  /** Answers the connection that it has. */
  connect(): Promise<unknown>
}

const MEND =
  'pass the `manager` that `dataSource.transaction(async (manager) => …)` hands you, or a QueryRunner after `startTransaction()`'

/** The EntityManager of a TypeORM transaction, or a QueryRunner: the session has the driver's own connection. */
export const typeormSession: Adapter = (handle, dialect, open) => {
  if (can(handle, 'createQueryRunner', 'initialize')) throw noTransaction('a TypeORM DataSource', MEND)
  const runner = runnerOf(handle)
  if (runner === undefined) return undefined
  if (runner === null || !runner.isTransactionActive) {
    throw noTransaction(`a TypeORM ${runner === handle ? 'QueryRunner' : 'EntityManager'}`, MEND)
  }
  const connection = async () => open(await runner.connect())
  return deferredSession(dialect, connection, () => runner.isTransactionActive)
}

/** Null for an EntityManager without one. */
function runnerOf(handle: Handle): (QueryRunner & Handle) | null | undefined {
  if (can(handle, 'startTransaction', 'connect')) return handle as unknown as QueryRunner & Handle
  if (!can(handle, 'getTreeRepository')) return undefined
  return (asHandle(handle['queryRunner']) as (QueryRunner & Handle) | undefined) ?? null
}
