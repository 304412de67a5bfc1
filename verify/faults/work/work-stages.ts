import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { SqlServer, TestServer } from '../../../test-servers/index.d.mts'
import type { Target } from '../backend.ts'
import { serverFaults } from '../server-faults.ts'
import { type OpenedStore, openStore, type StoreAddress } from '../store-kinds.ts'
import { testServers } from '../test-servers.ts'
import { openWorkDatabase } from './open-work-database.ts'
import type { DatabaseAddress, WorkDatabase } from './work-database.ts'
import { NETWORK_FAULTS, PROCESS_FAULTS, type WorkFault, type WorkFaultKind } from './work-faults.ts'
import { loadWorkLibrary, type WorkLibrary } from './work-library.ts'
import { LANES, type LaneName } from './work-plan.ts'
import { MAIN_TABLES, OTHER_TABLES, WATCH_EVENTS, WATCH_TASKS } from './work-tables.ts'

/** Where a worker finds what it works on. */
export interface WorkAddress {
  /** For what runs once. */
  readonly store: StoreAddress
  /** For tasks, for the outbox, and for the rows of the user; absent on Redis. */
  readonly main?: DatabaseAddress
  /** For the inbox: another database. */
  readonly other?: DatabaseAddress
}

/** A store that trials run on, with its server, as the driver holds it. */
export interface WorkStage {
  /** As the command line names it. */
  readonly name: string
  readonly lanes: readonly LaneName[]
  /** What can go wrong here. */
  readonly faults: readonly WorkFaultKind[]
  /** What a worker reaches through a proxy of its trial. */
  readonly targets: readonly Target[]
  address(ports: readonly number[], seed: number, timeoutMs: number): WorkAddress
  /** Lets a fault of the server begin; resolves when it has begun. */
  strike(fault: WorkFault): Promise<void>
  /** Ends it; resolves when the server answers again. */
  heal(): Promise<void>
  /** The driver's own way, past the proxies. */
  readonly library: WorkLibrary
  openStore(): Promise<OpenedStore>
  /** @throws `Error` on Redis. */
  readonly main: WorkDatabase
  readonly other: WorkDatabase
  stop(): Promise<void>
}

/** For the driver's own look, in ms. */
const PATIENT_MS = 10_000

/** Redis that writes each command to its log before it answers: a SIGKILL loses nothing. */
async function redisStage(library: WorkLibrary): Promise<WorkStage> {
  const { startRedis } = await testServers()
  const server = await startRedis({ persistence: 'aof' })
  const at = (port: number, seed: number, timeoutMs: number): StoreAddress => ({
    kind: 'redis',
    url: `redis://127.0.0.1:${port}`,
    client: seed % 2 === 0 ? 'ioredis' : 'redis',
    prefix: 'work',
    timeoutMs,
  })
  return {
    name: 'redis',
    lanes: ['tokens'],
    ...disturbed(server, ['script-flush'], () => server.command('SCRIPT', 'FLUSH')),
    address: ([port = 0], seed, timeoutMs) => ({ store: at(port, seed, timeoutMs) }),
    library,
    openStore: () => openStore(library, at(server.port, 0, PATIENT_MS)),
    get main(): WorkDatabase {
      throw new Error('Redis has no tables')
    },
    get other(): WorkDatabase {
      throw new Error('Redis has no tables')
    },
    stop: () => server.stop(),
  }
}

/** What befalls any server. */
function disturbed(
  server: TestServer,
  own: readonly WorkFaultKind[],
  strikeOwn: () => Promise<unknown>,
): Pick<WorkStage, 'faults' | 'targets' | 'strike' | 'heal'> {
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
        await strikeOwn()
      }
    },
    heal: () => faults.heal(),
  }
}

async function sqlStage(
  library: WorkLibrary,
  server: SqlServer,
  kind: 'postgres' | 'mysql',
  endSessions: (database: string) => Promise<unknown>,
): Promise<WorkStage> {
  const databases = [await server.createDatabase(), await server.createDatabase()] as const
  const urls = (port: number) =>
    databases.map((database) => {
      const url = new URL(database.url)
      url.port = String(port)
      return url.href
    }) as [string, string]
  const at = (port: number, timeoutMs: number): Required<WorkAddress> => {
    const [main, other] = urls(port)
    return {
      store:
        kind === 'mysql'
          ? { kind, url: main, timeoutMs }
          : { kind, url: main, client: 'pg', serializable: false, timeoutMs },
      main: { kind, at: main, timeoutMs },
      other: { kind, at: other, timeoutMs },
    }
  }
  const direct = at(server.port, PATIENT_MS)
  const main = await openWorkDatabase(library, direct.main)
  const other = await openWorkDatabase(library, direct.other)
  await prepare(library, main, other)
  return {
    name: kind,
    lanes: LANES,
    ...disturbed(server, ['sessions-ended', 'net-cut-commit'], () => endSessions(databases[0].name)),
    address: ([port = 0], _seed, timeoutMs) => at(port, timeoutMs),
    library,
    openStore: () => openStore(library, direct.store),
    main,
    other,
    async stop() {
      await main.end()
      await other.end()
      await server.stop()
    },
  }
}

async function prepare(library: WorkLibrary, main: WorkDatabase, other: WorkDatabase): Promise<void> {
  for (const database of [main, other]) {
    const outbox = library.createOutbox({ db: database.db })
    await outbox.migrate()
    await outbox.close()
  }
  const { kind } = main
  for (const sql of [...MAIN_TABLES, ...WATCH_TASKS[kind], ...WATCH_EVENTS[kind]]) await main.query(sql)
  for (const sql of OTHER_TABLES) await other.query(sql)
}

/** Its commits reach the operating system before they are answered, so that a SIGKILL of the server loses none. */
const POSTGRES = { fsync: 'off', synchronous_commit: 'on', full_page_writes: 'off' }

async function postgresStage(library: WorkLibrary): Promise<WorkStage> {
  const { startPostgres } = await testServers()
  const server = await startPostgres({ settings: POSTGRES })
  const sql =
    'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()'
  return sqlStage(library, server, 'postgres', (database) => server.query(sql, [database]))
}

async function mysqlStage(library: WorkLibrary): Promise<WorkStage> {
  const { startMariadb } = await testServers()
  const server = await startMariadb({ settings: { innodb_flush_log_at_trx_commit: '2' } })
  return sqlStage(library, server, 'mysql', async (database) => {
    const sql = 'SELECT id FROM information_schema.processlist WHERE db = ?'
    const sessions = (await server.query(sql, [database])) as { readonly id: unknown }[]
    for (const { id } of sessions) await server.query('KILL ?', [id]).catch(() => {})
  })
}

/** Two files that several processes share. */
async function sqliteStage(library: WorkLibrary): Promise<WorkStage> {
  const folder = await mkdtemp(join(tmpdir(), 'onceward-work-faults-sqlite-'))
  const file = (name: string, timeoutMs: number): DatabaseAddress => ({
    kind: 'sqlite',
    at: join(folder, `${name}.sqlite`),
    timeoutMs,
  })
  const store: StoreAddress = { kind: 'sqlite', file: join(folder, 'once.sqlite'), synchronous: 'full' }
  const main = await openWorkDatabase(library, file('main', PATIENT_MS))
  const other = await openWorkDatabase(library, file('other', PATIENT_MS))
  await prepare(library, main, other)
  return {
    name: 'sqlite',
    lanes: LANES,
    faults: PROCESS_FAULTS,
    targets: [],
    address: (_ports, _seed, timeoutMs) => ({
      store,
      main: file('main', timeoutMs),
      other: file('other', timeoutMs),
    }),
    strike: async () => {},
    heal: async () => {},
    library,
    openStore: () => openStore(library, store),
    main,
    other,
    async stop() {
      await main.end()
      await other.end()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** How each store is started. */
export const WORK_STAGES: Readonly<Record<string, (library: WorkLibrary) => Promise<WorkStage>>> = {
  sqlite: sqliteStage,
  redis: redisStage,
  postgres: postgresStage,
  mysql: mysqlStage,
}

/** Starts the server of a store, or tells why it cannot be had here. */
export async function startWorkStage(
  name: string,
  library: string,
): Promise<{ readonly stage: WorkStage } | { readonly missing: string }> {
  const start = WORK_STAGES[name]
  if (start === undefined) return { missing: `there is no store ${name}` }
  try {
    return { stage: await start(await loadWorkLibrary(library)) }
  } catch (error) {
    if (!(error instanceof Error) || error.name !== 'ServerMissing') throw error
    return { missing: error.message }
  }
}
