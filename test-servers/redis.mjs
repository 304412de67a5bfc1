import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { startInstance } from './instance.mjs'
import { freePort } from './ports.mjs'
import { programOf } from './programs.mjs'
import { command } from './resp.mjs'

const PERSISTENCE = {
  none: { save: '""', appendonly: 'no' },
  aof: { save: '""', appendonly: 'yes', appendfsync: 'always' },
  'aof-everysec': { save: '""', appendonly: 'yes', appendfsync: 'everysec' },
  // One snapshot, when the server is asked to end.
  rdb: { save: '3600 1', appendonly: 'no' },
}

/** See index.d.mts. `sentinel` starts the same program as a sentinel; `engine` is its name then. `hasBus`: it is to be a node of a cluster. */
export async function startRedis({
  config = {},
  password,
  persistence = 'none',
  dataFolder,
  env,
  sentinel = false,
  hasBus = false,
} = {}) {
  const program = await programOf('redis')
  const lines = {
    bind: '127.0.0.1',
    daemonize: 'no',
    // Without a disk in between a replica would count as in sync a second before it is sent new writes.
    ...(sentinel ? {} : { ...PERSISTENCE[persistence], 'repl-diskless-sync': 'no' }),
    ...(password === undefined ? {} : { requirepass: JSON.stringify(password) }),
    ...(password === undefined || sentinel ? {} : { masterauth: JSON.stringify(password) }),
    ...config,
  }
  const server = await startInstance({
    engine: sentinel ? 'redis-sentinel' : 'redis',
    program,
    env,
    dataFolder,
    endSignal: 'SIGKILL',
    url: ({ port }) =>
      `redis://${password === undefined ? '' : `:${encodeURIComponent(password)}@`}127.0.0.1:${port}`,
    async prepare({ folder, port }) {
      // The usual port of the bus, 10,000 above, may be beyond the last port.
      const bus = hasBus ? { 'cluster-port': await freePort() } : {}
      const own = { port, dir: folder, ...bus, ...lines }
      const text = Object.entries(own).map(([name, value]) => `${name} ${value}\n`)
      await writeFile(join(folder, 'redis.conf'), text.join(''))
    },
    args: ({ folder }) => [join(folder, 'redis.conf'), ...(sentinel ? ['--sentinel'] : [])],
    async ready({ port }) {
      const info = await command({ host: '127.0.0.1', port, password }, ['INFO'])
      if (/^loading:1/m.test(info)) throw new Error('it is still loading its data')
      return redisVersion(info)
    },
  })
  return withCommands(server, password)
}

/** Gives an endpoint its `command`. */
export function withCommands(endpoint, password) {
  return Object.assign(endpoint, {
    command: (...parts) => command({ host: endpoint.host, port: endpoint.port, password }, parts),
  })
}

/** Valkey says first which Redis it stands for. */
export function redisVersion(info) {
  const valkey = /^valkey_version:(\S+)/m.exec(info)?.[1]
  return valkey ? `${valkey} (valkey)` : (/^redis_version:(\S+)/m.exec(info)?.[1] ?? 'unknown')
}

export async function startRedisReplica(primary, options = {}) {
  const replica = await startRedis({
    ...options,
    config: { replicaof: `${primary.host} ${primary.port}`, ...options.config },
  })
  await inSync(replica)
  return replica
}

/** Waits until a replica follows its primary. */
export async function inSync(replica) {
  for (const until = Date.now() + 30_000; ; await sleep(10)) {
    if (/^master_link_status:up/m.test(await replica.command('INFO', 'replication'))) return
    if (Date.now() > until) throw new Error('the replica does not get in sync')
  }
}
