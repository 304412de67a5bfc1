import type { Backend } from './backend.ts'
import type { Library } from './library.ts'
import { type SqlDialect, sqlBackend } from './sql-backend.ts'
import { testServers } from './test-servers.ts'

/** How long a service with leases of 300 to 500 ms lets a query take, in ms. */
export const TIMEOUT_MS = 400

/** PostgreSQL: every other trial over `postgres`, every fourth with SERIALIZABLE as its default. */
export const POSTGRES: SqlDialect = {
  name: 'postgres',
  drivers: ['pg', 'postgres'],
  address: (url, seed) => ({
    kind: 'postgres',
    url,
    client: seed % 2 === 0 ? 'pg' : 'postgres',
    serializable: seed % 4 >= 2,
    timeoutMs: TIMEOUT_MS,
  }),
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

/** A PostgreSQL server of its own. */
export async function postgresBackend(library: Library): Promise<Backend> {
  const { startPostgres } = await testServers()
  return sqlBackend(library, await startPostgres({ settings: SETTINGS }), POSTGRES)
}
