import type { AddressShape } from './harness/trial-kind.ts'
import type { Library } from './library.ts'
import { type SqlBackend, type SqlDialect, sqlBackend } from './sql-backend.ts'
import type { PostgresAddress } from './store-kinds.ts'
import { testServers } from './test-servers.ts'

/** Where a PostgreSQL database is; every third trial has SERIALIZABLE as its default. */
export function postgresAddress(
  url: string,
  { seed, timeoutMs }: AddressShape,
  client: 'pg' | 'postgres',
): PostgresAddress {
  return { kind: 'postgres', url, client, serializable: seed % 3 === 2, timeoutMs }
}

const DIALECT: Omit<SqlDialect, 'name' | 'drivers' | 'address'> = {
  async endSessions(server, database) {
    await server.query(
      'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()',
      [database],
    )
  },
  parameter: (n) => `$${n}`,
  faults: ['sessions-ended'],
}

/** Its commits reach the operating system before they are answered, so that a SIGKILL of the server loses none. */
const SETTINGS = { fsync: 'off', synchronous_commit: 'on', full_page_writes: 'off' }

/** A PostgreSQL server of its own, talked to over `pg` or over `postgres`. */
export async function postgresBackend(
  library: Library,
  client: 'pg' | 'postgres',
  settings: Readonly<Record<string, string>> = {},
): Promise<SqlBackend> {
  const { startPostgres } = await testServers()
  return sqlBackend(library, await startPostgres({ settings: { ...SETTINGS, ...settings } }), {
    ...DIALECT,
    name: client === 'pg' ? 'postgres' : 'porsager',
    drivers: [client],
    address: (url, shape) => postgresAddress(url, shape, client),
  })
}
