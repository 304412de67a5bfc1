import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { SqlServer, TestServer } from '../../../test-servers/index.d.mts'
import type { FaultKind } from '../harness/fault-kinds.ts'
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
import { testServers } from '../test-servers.ts'
import { type ClockShim, clockShim } from './clock-shim.ts'
import { type LockAddress, type LockLibrary, loadLockLibrary, type OpenedLockBackend } from './lock-stores.ts'

/** A backend of locks that trials run on, with its server, as the driver holds it. */
export interface LockStage extends TrialStage {
  /** What goes wrong only where it is asked for: locks are forgotten by it. */
  readonly forgetting: readonly FaultKind[]
  readonly minLeaseMs: number
  /** How much later than asked an end may come, in ms. */
  readonly slackMs: number
  address(ports: readonly number[], shape: AddressShape): LockAddress
  /** The locks seen directly. */
  look(): Promise<OpenedLockBackend>
}

type Ports = readonly number[]

/** What all servers have in common. */
function serverStage(
  library: LockLibrary,
  server: TestServer,
  own: Pick<LockStage, 'name'> &
    Partial<Pick<LockStage, 'forgetting' | 'minLeaseMs' | 'slackMs'>> & {
      readonly faults: readonly FaultKind[]
      address(port: number, shape: AddressShape): LockAddress
      strike?(kind: FaultKind): Promise<unknown>
      close?(): Promise<void>
    },
): LockStage {
  const { faults, ...ground } = disturbed(server, own.faults, async (kind) => own.strike?.(kind))
  return {
    forgetting: [],
    minLeaseMs: 0,
    slackMs: 0,
    ...own,
    ...ground,
    faults,
    address: ([port = 0]: Ports, shape) => own.address(port, shape),
    look: () => library.open(own.address(server.port, PATIENT)),
    async stop() {
      await ground.heal()
      await server.stop()
      await own.close?.()
    },
  }
}

async function redisStage(library: LockLibrary): Promise<LockStage> {
  const server = await durableRedis()
  return serverStage(library, server, {
    name: 'redis',
    faults: ['script-flush'],
    forgetting: ['flush-all'],
    minLeaseMs: 50,
    address: (port, { seed, timeoutMs }) => ({
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
  { server, endSessions }: SqlGround<SqlServer>,
  kind: 'postgres' | 'mysql',
  shim?: ClockShim,
): Promise<LockStage> {
  const database = await server.createDatabase()
  const at = (port: number, timeoutMs: number): LockAddress => ({
    kind,
    url: throughPort(database.url, port),
    timeoutMs,
  })
  const { backend, end } = await library.open(at(server.port, PATIENT.timeoutMs))
  await backend.migrate?.()
  await backend.close()
  await end()
  return serverStage(library, server, {
    name: kind,
    faults: ['sessions-ended'],
    forgetting: shim ? ['clock-jump'] : [],
    minLeaseMs: 100,
    address: (port, { timeoutMs }) => at(port, timeoutMs),
    strike: (kind) => (kind === 'clock-jump' && shim ? shim.jump() : endSessions(database.name)),
    ...(shim ? { close: shim.close } : {}),
  })
}

async function etcdStage(library: LockLibrary): Promise<LockStage> {
  const { startEtcd } = await testServers()
  const server = await startEtcd()
  return serverStage(library, server, {
    name: 'etcd',
    faults: [],
    // Its leases last for two seconds at least, and end when it gets round to it.
    minLeaseMs: 2_000,
    slackMs: 2_000,
    address: (port, { timeoutMs }) => ({
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
    ...UNDISTURBED,
    forgetting: [],
    minLeaseMs: 100,
    slackMs: 0,
    address: () => address,
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
  postgres: async (library, shim) => sqlStage(library, await durablePostgres(shim?.env), 'postgres', shim),
  mysql: async (library) => sqlStage(library, await durableMariadb(), 'mysql'),
  etcd: etcdStage,
}

/** Starts the server of a backend, or tells why it cannot be had here. */
export async function startLockStage(
  name: string,
  library: string,
  { forgetting = false }: { readonly forgetting?: boolean } = {},
): Promise<Started<LockStage>> {
  const start = LOCK_STAGES[name]
  if (start === undefined) return { missing: `there is no backend ${name}` }
  return startedStage(async () => {
    const shim = forgetting && name === 'postgres' ? await clockShim() : undefined
    return start(await loadLockLibrary(library), shim)
  })
}
