import type { Backend } from './backend.ts'
import type { Library } from './library.ts'
import { type SqlDialect, sqlBackend } from './sql-backend.ts'
import { testServers } from './test-servers.ts'

/** MariaDB, which stands in for MySQL where there is no MySQL. */
const MARIADB: SqlDialect = {
  name: 'mariadb',
  drivers: ['mysql2/promise'],
  address: (url, { timeoutMs }) => ({ kind: 'mysql', url, timeoutMs }),
  async endSessions(server, database) {
    const sessions = await server.query('SELECT id FROM information_schema.processlist WHERE db = ?', [
      database,
    ])
    for (const { id } of sessions as { id: unknown }[]) await server.query('KILL ?', [id]).catch(() => {})
  },
  parameter: () => '?',
  faults: ['sessions-ended'],
}

/** Its log reaches the operating system with each commit, so that a SIGKILL of the server loses none. */
const SETTINGS = { innodb_flush_log_at_trx_commit: '2' }

/** A MariaDB server of its own. */
export async function mariadbBackend(library: Library): Promise<Backend> {
  const { startMariadb } = await testServers()
  return sqlBackend(library, await startMariadb({ settings: SETTINGS }), MARIADB)
}
