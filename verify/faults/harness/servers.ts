import type { PostgresServer, RedisServer, SqlServer, TestServer } from '../../../test-servers/index.d.mts'
import { serverFaults } from '../server-faults.ts'
import { testServers } from '../test-servers.ts'
import { type FaultKind, NETWORK_FAULTS } from './fault-kinds.ts'
import { PROCESS_FAULTS } from './trial-faults.ts'
import type { TrialStage } from './trial-kind.ts'

/** A SQL server, and what ends all sessions of one of its databases. */
export interface SqlGround<Server> {
  readonly server: Server
  endSessions(database: string): Promise<unknown>
}

/** Redis that writes each command to its log before it answers: a SIGKILL loses nothing. */
export async function durableRedis(): Promise<RedisServer> {
  const { startRedis } = await testServers()
  return startRedis({ persistence: 'aof' })
}

/** Its commits reach the operating system before they are answered, so that a SIGKILL of the server loses none. */
const POSTGRES = { fsync: 'off', synchronous_commit: 'on', full_page_writes: 'off' }

/** PostgreSQL that loses nothing by a SIGKILL. */
export async function durablePostgres(
  env?: Readonly<Record<string, string>>,
): Promise<SqlGround<PostgresServer>> {
  const { startPostgres } = await testServers()
  const server = await startPostgres({ settings: POSTGRES, ...(env ? { env } : {}) })
  const sql =
    'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()'
  return { server, endSessions: (database) => server.query(sql, [database]) }
}

/** MariaDB that loses nothing by a SIGKILL. */
export async function durableMariadb(): Promise<SqlGround<SqlServer>> {
  const { startMariadb } = await testServers()
  const server = await startMariadb({ settings: { innodb_flush_log_at_trx_commit: '2' } })
  return {
    server,
    async endSessions(database) {
      const sql = 'SELECT id FROM information_schema.processlist WHERE db = ?'
      const sessions = (await server.query(sql, [database])) as { readonly id: unknown }[]
      for (const { id } of sessions) await server.query('KILL ?', [id]).catch(() => {})
    },
  }
}

/** The address of a database behind another port. */
export function throughPort(url: string, port: number): string {
  const moved = new URL(url)
  moved.port = String(port)
  return moved.href
}

/** What befalls any server, beside what is its own. */
export function disturbed(
  server: TestServer,
  own: readonly FaultKind[],
  strikeOwn: (kind: FaultKind) => Promise<unknown>,
): Pick<TrialStage, 'faults' | 'targets' | 'strike' | 'heal'> {
  const faults = serverFaults(server)
  return {
    faults: [...PROCESS_FAULTS, ...NETWORK_FAULTS, 'store-kill', 'store-stop', ...own],
    targets: [server],
    async strike({ kind, forMs }) {
      if (kind === 'store-kill') await faults.kill(forMs)
      else if (kind === 'store-stop') await faults.stop(forMs)
      else {
        // It may be on its way back just now.
        await faults.heal()
        await strikeOwn(kind)
      }
    },
    heal: () => faults.heal(),
  }
}

/** What befalls a file that several processes share. */
export const UNDISTURBED: Pick<TrialStage, 'faults' | 'targets' | 'strike' | 'heal'> = {
  faults: PROCESS_FAULTS,
  targets: [],
  strike: async () => {},
  heal: async () => {},
}

/** A stage that was started, or why it cannot be had here. */
export type Started<Stage> = { readonly stage: Stage } | { readonly missing: string }

/** Starts a stage; a server that cannot be had here is told as `missing`. */
export async function startedStage<Stage>(start: () => Promise<Stage>): Promise<Started<Stage>> {
  try {
    return { stage: await start() }
  } catch (error) {
    if (!(error instanceof Error) || error.name !== 'ServerMissing') throw error
    return { missing: error.message }
  }
}
