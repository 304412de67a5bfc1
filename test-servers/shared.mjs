import { startMariadb, withMysql } from './mariadb.mjs'
import { mysqlQuery } from './mysql-sql.mjs'
import { natsVersion, startNats } from './nats.mjs'
import { startPostgres } from './postgres.mjs'
import { withSql } from './postgres-instance.mjs'
import { postgresQuery } from './postgres-sql.mjs'
import { urlOf } from './programs.mjs'
import { startRabbitmq } from './rabbitmq.mjs'
import { rabbitmqVersion } from './rabbitmq-version.mjs'
import { redisVersion, startRedis, withCommands } from './redis.mjs'
import { command } from './resp.mjs'
import { askHost, noteUse } from './run.mjs'
import { ServerMissing } from './server-missing.mjs'

const asItIs = (endpoint) => endpoint

const mysqlVersion = async (url) => (await mysqlQuery(url, 'SELECT version() AS version'))[0].version

/** Of each kind: how it is started, how a running one tells its version, what is added to its endpoint. */
const KINDS = {
  redis: {
    start: () => startRedis(),
    version: async (url) => redisVersion(await command(address(url, 6379), ['INFO'])),
    dress: (endpoint) => withCommands(endpoint, address(endpoint.url, 6379).password),
    port: 6379,
  },
  postgres: {
    start: () => startPostgres(),
    version: async (url) =>
      (await postgresQuery(url, `SELECT current_setting('server_version') AS version`))[0].version,
    dress: withSql,
    port: 5432,
  },
  mariadb: { start: () => startMariadb(), version: mysqlVersion, dress: withMysql, port: 3306 },
  rabbitmq: {
    start: () => startRabbitmq(),
    version: (url) => rabbitmqVersion(address(url, 5672)),
    dress: asItIs,
    port: 5672,
  },
  nats: {
    start: () => startNats(),
    version: (url) => natsVersion(address(url, 4222)),
    dress: asItIs,
    port: 4222,
  },
  mysql: { start: missingMysql, version: mysqlVersion, dress: withMysql, port: 3306 },
}

export const sharedRedis = () => shared('redis')
export const sharedPostgres = () => shared('postgres')
export const sharedMariadb = () => shared('mariadb')
export const sharedMysql = () => shared('mysql')
export const sharedRabbitmq = () => shared('rabbitmq')
export const sharedNats = () => shared('nats')

/** The shared server of this name: the run's, or without a run this process's. */
export async function shared(name) {
  const told = await askHost({ do: 'share', name })
  const endpoint = told === undefined ? describeEndpoint(await startSharedHere(name)) : told.endpoint
  if (endpoint === undefined) {
    const { message, server, reason } = told.error
    throw server === undefined ? new Error(message) : new ServerMissing(server, reason)
  }
  return KINDS[name].dress(endpoint)
}

/** What can be sent to another process, and is all that users of a shared server may know of it. */
export function describeEndpoint({ engine, version, source, url, host, port }) {
  return { engine, version, source, url, host, port }
}

const started = new Map()

/** Starts the shared server of this name in this process, once. */
export function startSharedHere(name) {
  let server = started.get(name)
  if (!server) {
    server = start(name)
    started.set(name, server)
    server.catch(() => started.delete(name))
  }
  return server
}

async function start(name) {
  const url = urlOf(name)
  return url === undefined ? KINDS[name].start() : endpointOf(name, url)
}

/** Ends the shared servers of this process. */
export async function stopSharedHere() {
  const servers = await Promise.allSettled(started.values())
  started.clear()
  await Promise.all(servers.map(({ value }) => value?.stop?.()))
}

async function endpointOf(name, url) {
  const { version, port } = KINDS[name]
  const at = address(url, port)
  try {
    const endpoint = {
      engine: name,
      version: await version(url),
      source: 'url',
      url,
      host: at.host,
      port: at.port,
    }
    await noteUse({ engine: name, version: endpoint.version, source: 'url' })
    return endpoint
  } catch (error) {
    // Whoever names a server means it; to skip its tests would hide the mistake.
    throw new Error(
      `TEST_${name.toUpperCase()}_URL names ${at.host}:${at.port}, which says: ${error.message || error.code}`,
      {
        cause: error,
      },
    )
  }
}

function address(url, usualPort) {
  const { hostname, port, password } = new URL(url)
  return {
    host: hostname,
    port: port === '' ? usualPort : Number(port),
    password: password === '' ? undefined : decodeURIComponent(password),
  }
}

function missingMysql() {
  return Promise.reject(new ServerMissing('mysql', 'Debian has no package of it; set TEST_MYSQL_URL'))
}
