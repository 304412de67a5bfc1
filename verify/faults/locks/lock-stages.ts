import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { RedisServer, SqlServer, TestServer } from '../../../test-servers/index.d.mts'
import type { Target } from '../backend.ts'
import { serverFaults } from '../server-faults.ts'
import { testServers } from '../test-servers.ts'
import { type ClockShim, clockShim } from './clock-shim.ts'
import { CONNECTION_FAULTS, type LockFault, type LockFaultKind, WORKER_FAULTS } from './lock-faults.ts'
import { type LockAddress, type LockLibrary, loadLockLibrary, type OpenedLockBackend } from './lock-stores.ts'

/** A backend of locks that trials run on, with its server, as the driver holds it. */
export interface LockStage {
  /** As the command line names it. */
  readonly name: string
  /** What can go wrong here. */
  readonly faults: readonly LockFaultKind[]
  /** What goes wrong only where it is asked for: locks are forgotten by it. */
  readonly forgetting: readonly LockFaultKind[]
  readonly minTtlMs: number
  /** How much later than asked an end may come, in ms. */
  readonly slackMs: number
  /** What a worker reaches through a proxy of its trial. */
  readonly targets: readonly Target[]
  address(ports: readonly number[], seed: number, timeoutMs: number): LockAddress
  /** Lets a fault of the server begin; resolves when it has begun. */
  strike(fault: LockFault): Promise<void>
  /** Ends it; resolves when the server answers again. */
  heal(): Promise<void>
  /** The locks seen directly. */
  look(): Promise<OpenedLockBackend>
  stop(): Promise<void>
}

/** For the driver's own look, in ms. */
const PATIENT_MS = 10_000

type Ports = readonly number[]

/** What all servers have in common. */
function serverStage(
  library: LockLibrary,
  server: TestServer,
  own: Pick<LockStage, 'name'> &
    Partial<Pick<LockStage, 'forgetting' | 'minTtlMs' | 'slackMs'>> & {
      readonly faults: readonly LockFaultKind[]
      address(port: number, seed: number, timeoutMs: number): LockAddress
      strike?(kind: LockFaultKind): Promise<unknown>
      close?(): Promise<void>
    },
): LockStage {
  const faults = serverFaults(server)
  return {
    forgetting: [],
    minTtlMs: 0,
    slackMs: 0,
    ...own,
    faults: [...WORKER_FAULTS, ...CONNECTION_FAULTS, 'store-kill', 'store-stop', ...own.faults],
    targets: [server],
    address: ([port = 0]: Ports, seed, timeoutMs) => own.address(port, seed, timeoutMs),
    async strike({ kind, forMs }) {
      if (kind === 'store-kill') await faults.kill(forMs)
      else if (kind === 'store-stop') await faults.stop(forMs)
      else {
        // It may be on its way back just now.
        await faults.heal()
        await own.strike?.(kind)
      }
    },
    heal: () => faults.heal(),
    look: () => library.open(own.address(server.port, 0, PATIENT_MS)),
    async stop() {
      await faults.heal()
      await server.stop()
      await own.close?.()
    },
  }
}

/** Redis that writes each command to its log before it answers: a SIGKILL loses nothing. */
async function redisStage(library: LockLibrary): Promise<LockStage> {
  const { startRedis } = await testServers()
  const server: RedisServer = await startRedis({ persistence: 'aof' })
  return serverStage(library, server, {
    name: 'redis',
    faults: ['script-flush'],
    forgetting: ['flush-all'],
    minTtlMs: 50,
    address: (port, seed, timeoutMs) => ({
      kind: 'redis',
      url: `redis://127.0.0.1:${port}`,
      client: seed % 2 === 0 ? 'ioredis' : 'redis',
      prefix: 'faults',
      timeoutMs,
    }),
    strike: (kind) => (kind === 'flush-all' ? server.command('FLUSHALL') : server.command('SCRIPT', 'FLUSH')),
  })
}

async function sqlStage(
  library: LockLibrary,
  server: SqlServer,
  kind: 'postgres' | 'mysql',
  endSessions: (database: string) => Promise<unknown>,
  shim?: ClockShim,
): Promise<LockStage> {
  const database = await server.createDatabase()
  const at = (port: number, timeoutMs: number): LockAddress => {
    const url = new URL(database.url)
    url.port = String(port)
    return { kind, url: url.href, timeoutMs }
  }
  const { backend, end } = await library.open(at(server.port, PATIENT_MS))
  await backend.migrate?.()
  await backend.close()
  await end()
  return serverStage(library, server, {
    name: kind,
    faults: ['sessions-ended'],
    forgetting: shim ? ['clock-jump'] : [],
    minTtlMs: 100,
    address: (port, _seed, timeoutMs) => at(port, timeoutMs),
    strike: (kind) => (kind === 'clock-jump' && shim ? shim.jump() : endSessions(database.name)),
    ...(shim ? { close: shim.close } : {}),
  })
}

/** Its commits reach the operating system before they are answered, so that a SIGKILL of the server loses none. */
const POSTGRES = { fsync: 'off', synchronous_commit: 'on', full_page_writes: 'off' }

async function postgresStage(library: LockLibrary, shim: ClockShim | undefined): Promise<LockStage> {
  const { startPostgres } = await testServers()
  const server = await startPostgres({ settings: POSTGRES, ...(shim ? { env: shim.env } : {}) })
  const sql =
    'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()'
  return sqlStage(library, server, 'postgres', (database) => server.query(sql, [database]), shim)
}

async function mysqlStage(library: LockLibrary): Promise<LockStage> {
  const { startMariadb } = await testServers()
  const server = await startMariadb({ settings: { innodb_flush_log_at_trx_commit: '2' } })
  return sqlStage(library, server, 'mysql', async (database) => {
    const sql = 'SELECT id FROM information_schema.processlist WHERE db = ?'
    const sessions = (await server.query(sql, [database])) as { readonly id: unknown }[]
    for (const { id } of sessions) await server.query('KILL ?', [id]).catch(() => {})
  })
}

async function etcdStage(library: LockLibrary): Promise<LockStage> {
  const { startEtcd } = await testServers()
  const server = await startEtcd()
  return serverStage(library, server, {
    name: 'etcd',
    faults: [],
    // Its leases last for two seconds at least, and end when it gets round to it.
    minTtlMs: 2_000,
    slackMs: 2_000,
    address: (port, _seed, timeoutMs) => ({
      kind: 'etcd',
      url: `http://127.0.0.1:${port}`,
      prefix: 'faults',
      timeoutMs,
    }),
  })
}

/** One file that several processes share. */
async function sqliteStage(library: LockLibrary): Promise<LockStage> {
  const folder = await mkdtemp(join(tmpdir(), 'onceward-lock-faults-sqlite-'))
  const address: LockAddress = { kind: 'sqlite', file: join(folder, 'locks.db') }
  const { backend } = await library.open(address)
  await backend.migrate?.()
  await backend.close()
  return {
    name: 'sqlite',
    faults: WORKER_FAULTS,
    forgetting: [],
    minTtlMs: 100,
    slackMs: 0,
    targets: [],
    address: () => address,
    strike: async () => {},
    heal: async () => {},
    look: () => library.open(address),
    stop: () => rm(folder, { recursive: true, force: true }),
  }
}

/** How each backend is started. */
export const LOCK_STAGES: Readonly<
  Record<string, (library: LockLibrary, shim: ClockShim | undefined) => Promise<LockStage>>
> = {
  sqlite: sqliteStage,
  redis: redisStage,
  postgres: postgresStage,
  mysql: mysqlStage,
  etcd: etcdStage,
}

/** Starts the server of a backend, or tells why it cannot be had here. */
export async function startLockStage(
  name: string,
  library: string,
  { forgetting = false }: { readonly forgetting?: boolean } = {},
): Promise<{ readonly stage: LockStage } | { readonly missing: string }> {
  const start = LOCK_STAGES[name]
  if (start === undefined) return { missing: `there is no backend ${name}` }
  try {
    const shim = forgetting && name === 'postgres' ? await clockShim() : undefined
    return { stage: await start(await loadLockLibrary(library), shim) }
  } catch (error) {
    if (!(error instanceof Error) || error.name !== 'ServerMissing') throw error
    return { missing: error.message }
  }
}
