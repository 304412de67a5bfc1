import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { SqlServer } from '../../../test-servers/index.d.mts'
import {
  disturbed,
  durableMariadb,
  durablePostgres,
  durableRedis,
  type SqlGround,
  type Started,
  startedStage,
  throughPort,
  UNDISTURBED,
} from '../harness/servers.ts'
import { type AddressShape, PATIENT, type TrialStage } from '../harness/trial-kind.ts'
import { type OpenedStore, openStore, type StoreAddress } from '../store-kinds.ts'
import { openWorkDatabase } from './open-work-database.ts'
import type { DatabaseAddress, WorkDatabase } from './work-database.ts'
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
export interface WorkStage extends TrialStage {
  readonly lanes: readonly LaneName[]
  address(ports: readonly number[], shape: AddressShape): WorkAddress
  /** The driver's own way, past the proxies. */
  readonly library: WorkLibrary
  openStore(): Promise<OpenedStore>
  /** @throws `Error` on Redis. */
  readonly main: WorkDatabase
  readonly other: WorkDatabase
}

async function redisStage(library: WorkLibrary): Promise<WorkStage> {
  const server = await durableRedis()
  const at = (port: number, { seed, timeoutMs }: AddressShape): StoreAddress => ({
    kind: 'redis',
    url: `redis://127.0.0.1:${port}`,
    client: seed % 2 === 0 ? 'ioredis' : 'redis',
    prefix: 'work',
    timeoutMs,
  })
  return {
    name: 'redis',
    lanes: ['tokens', 'dedupe'],
    ...disturbed(server, ['script-flush'], () => server.command('SCRIPT', 'FLUSH')),
    address: ([port = 0], shape) => ({ store: at(port, shape) }),
    library,
    openStore: () => openStore(library, at(server.port, PATIENT)),
    get main(): WorkDatabase {
      throw new Error('Redis has no tables')
    },
    get other(): WorkDatabase {
      throw new Error('Redis has no tables')
    },
    stop: () => server.stop(),
  }
}

async function sqlStage(
  library: WorkLibrary,
  { server, endSessions }: SqlGround<SqlServer>,
  kind: 'postgres' | 'mysql',
): Promise<WorkStage> {
  const databases = [await server.createDatabase(), await server.createDatabase()] as const
  const at = (port: number, timeoutMs: number): Required<WorkAddress> => {
    const [main, other] = [throughPort(databases[0].url, port), throughPort(databases[1].url, port)]
    return {
      store:
        kind === 'mysql'
          ? { kind, url: main, timeoutMs }
          : { kind, url: main, client: 'pg', serializable: false, timeoutMs },
      main: { kind, at: main, timeoutMs },
      other: { kind, at: other, timeoutMs },
    }
  }
  const direct = at(server.port, PATIENT.timeoutMs)
  const main = await openWorkDatabase(library, direct.main)
  const other = await openWorkDatabase(library, direct.other)
  await prepare(library, main, other)
  return {
    name: kind,
    lanes: LANES,
    ...disturbed(server, ['sessions-ended', 'net-cut-commit'], () => endSessions(databases[0].name)),
    address: ([port = 0], { timeoutMs }) => at(port, timeoutMs),
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

/** Two files that several processes share. */
async function sqliteStage(library: WorkLibrary): Promise<WorkStage> {
  const folder = await mkdtemp(join(tmpdir(), 'onceward-work-faults-sqlite-'))
  const file = (name: string, timeoutMs: number): DatabaseAddress => ({
    kind: 'sqlite',
    at: join(folder, `${name}.sqlite`),
    timeoutMs,
  })
  const store: StoreAddress = { kind: 'sqlite', file: join(folder, 'once.sqlite'), synchronous: 'full' }
  const main = await openWorkDatabase(library, file('main', PATIENT.timeoutMs))
  const other = await openWorkDatabase(library, file('other', PATIENT.timeoutMs))
  await prepare(library, main, other)
  return {
    name: 'sqlite',
    lanes: LANES,
    ...UNDISTURBED,
    address: (_ports, { timeoutMs }) => ({
      store,
      main: file('main', timeoutMs),
      other: file('other', timeoutMs),
    }),
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
  postgres: async (library) => sqlStage(library, await durablePostgres(), 'postgres'),
  mysql: async (library) => sqlStage(library, await durableMariadb(), 'mysql'),
}

/** Starts the server of a store, or tells why it cannot be had here. */
export async function startWorkStage(name: string, library: string): Promise<Started<WorkStage>> {
  const start = WORK_STAGES[name]
  if (start === undefined) return { missing: `there is no store ${name}` }
  return startedStage(async () => start(await loadWorkLibrary(library)))
}
