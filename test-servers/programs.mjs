import { execFile } from 'node:child_process'
import { access, readdir, realpath } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { onPath, prefixExists, privatePrefix } from './private-prefix.mjs'
import { versionBesidePlugins } from './rabbitmq-version.mjs'
import { ServerMissing } from './server-missing.mjs'

const run = promisify(execFile)

/**
 * How each server is found: its program, what must lie beside it, how its `--version` answers (or `versionOf`, of a program
 * that does not tell), the Debian package, and where that package puts it.
 */
const PROGRAMS = {
  redis: {
    names: ['redis-server', 'valkey-server'],
    version: /v=\d/,
    packages: ['redis-server'],
    places: ['usr/bin'],
  },
  postgres: {
    names: ['postgres'],
    beside: ['initdb', 'pg_basebackup'],
    version: /^postgres \(PostgreSQL\) \d/,
    packages: ['postgresql'],
    places: ['usr/lib/postgresql/*/bin'],
  },
  mariadb: {
    names: ['mariadbd', 'mysqld'],
    version: /MariaDB/,
    packages: ['mariadb-server-core'],
    places: ['usr/sbin'],
  },
  nginx: { names: ['nginx'], flag: '-v', version: /nginx\/\d/, packages: ['nginx'], places: ['usr/sbin'] },
  etcd: { names: ['etcd'], version: /etcd Version: \d/, packages: ['etcd-server'], places: ['usr/bin'] },
  pgbouncer: {
    names: ['pgbouncer'],
    version: /PgBouncer \d/i,
    packages: ['pgbouncer'],
    places: ['usr/sbin'],
  },
  rabbitmq: {
    names: ['rabbitmq-server'],
    versionOf: versionBesidePlugins,
    packages: ['rabbitmq-server'],
    places: ['usr/lib/rabbitmq/lib/*/sbin'],
  },
  nats: {
    names: ['nats-server'],
    version: /^nats-server: v\d/,
    packages: ['nats-server'],
    places: ['usr/sbin'],
  },
  // Run by the Java of this machine: `jars` is where the package puts what Java needs.
  zookeeper: {
    names: ['java'],
    flag: '-version',
    version: /version "\d/,
    packages: ['zookeeper'],
    places: [],
    jars: 'usr/share/java',
  },
}

/** Written in place of a URL: go on as if this server could not be had. */
const NONE = 'none'

/** The URL of a server which runs already, if one is named. */
export function urlOf(name) {
  const value = process.env[variableOf(name)]
  if (value === NONE) throw new ServerMissing(name, `${variableOf(name)} says "${NONE}"`)
  return value === undefined || value === '' ? undefined : value
}

function variableOf(name) {
  return `TEST_${name.toUpperCase()}_URL`
}

/**
 * Finds the program of a server, fetching it if needed. What was found is kept for the life of this process.
 *
 * @returns `{ file, folder, root, env, version, source }`; `root` is the prefix, or `/`.
 * @throws ServerMissing
 */
export function programOf(name) {
  found[name] ??= find(name).catch((error) => {
    found[name] = undefined
    throw error
  })
  return found[name]
}

const found = {}

async function find(name) {
  if (process.env[variableOf(name)] === NONE) urlOf(name)
  if (PROGRAMS[name].jars !== undefined) return programOfJars(name)
  return (await findOnSystem(name)) ?? (await programInPrefix(name))
}

/** The program in the prefix of its packages, which is made if need be. */
export async function programInPrefix(name) {
  const { packages, names } = PROGRAMS[name]
  let prefix
  try {
    prefix = await privatePrefix(packages)
  } catch (error) {
    throw new ServerMissing(
      name,
      `no ${names[0]} on this machine, and it cannot be fetched: ${error.message}`,
    )
  }
  const env = { LD_LIBRARY_PATH: prefix.libraryPath }
  const program = await findBelow(name, prefix.root, env)
  if (!program)
    throw new ServerMissing(name, `the packages ${packages.join(', ')} hold no working ${names[0]}`)
  return { ...program, source: 'prefix' }
}

/** A program that is jars in the prefix of its packages; `classPath` names them. Java itself is not fetched: it is large. */
async function programOfJars(name) {
  const { packages, jars } = PROGRAMS[name]
  const java = await findOnSystem(name)
  if (!java) throw new ServerMissing(name, 'no java on this machine')
  try {
    const { root } = await privatePrefix(packages)
    return { ...java, root, classPath: join(root, jars, '*'), source: 'prefix' }
  } catch (error) {
    throw new ServerMissing(name, `its packages cannot be fetched: ${error.message}`)
  }
}

/** Tells where the server would come from, and fetches nothing. */
export async function which(name) {
  const url = process.env[variableOf(name)]
  if (url === NONE) return { source: 'missing', detail: `${variableOf(name)} says "${NONE}"` }
  if (url) return { source: 'url', detail: withoutPassword(url) }
  if (PROGRAMS[name] === undefined) return { source: 'missing', detail: `set ${variableOf(name)}` }
  const onSystem = await findOnSystem(name)
  const { packages, names, jars } = PROGRAMS[name]
  if (jars !== undefined && !onSystem) return { source: 'missing', detail: `no ${names[0]}` }
  if (jars === undefined && onSystem) return { source: 'system', detail: onSystem.file }
  const made = await prefixExists(packages)
  if (made) return { source: 'prefix', detail: made }
  if (await onPath('apt-get')) return { source: 'prefix', detail: `to be made from ${packages.join(', ')}` }
  return { source: 'missing', detail: `no ${names[0]}, and no apt-get to fetch it` }
}

function withoutPassword(url) {
  const shown = new URL(url)
  shown.password = ''
  return shown.href
}

async function findOnSystem(name) {
  const { names } = PROGRAMS[name]
  for (const each of names) {
    const file = await onPath(each)
    const program = file && (await verified(name, await realpath(file), '/', {}))
    if (program) return { ...program, source: 'system' }
  }
  const program = await findBelow(name, '/', {})
  return program && { ...program, source: 'system' }
}

async function findBelow(name, root, env) {
  const { names, places } = PROGRAMS[name]
  for (const place of places) {
    for (const folder of await expand(root, place)) {
      for (const each of names) {
        const file = join(folder, each)
        const program = (await isThere(file)) && (await verified(name, file, root, env))
        if (program) return program
      }
    }
  }
  return undefined
}

/** Newest version first, where a place has one folder for each. */
async function expand(root, place) {
  const [before, after] = place.split('*')
  if (after === undefined) return [join(root, place)]
  const versions = await readdir(join(root, before)).catch(() => [])
  return versions.sort((a, b) => Number(b) - Number(a)).map((version) => join(root, before, version, after))
}

/** A program of that name may be a client's wrapper or broken: it must tell its version, and have what it needs beside it. */
async function verified(name, file, root, env) {
  const { beside = [], version, versionOf, flag = '--version' } = PROGRAMS[name]
  const folder = dirname(file)
  for (const needed of beside) if (!(await isThere(join(folder, needed)))) return undefined
  if (versionOf !== undefined) {
    const says = await versionOf(file)
    return says && { file, folder, root, env, version: says }
  }
  try {
    const { stdout, stderr } = await run(file, [flag], { env: { ...process.env, ...env }, timeout: 20_000 })
    const says = stdout + stderr
    if (!version.test(says)) return undefined
    return { file, folder, root, env, version: /\d+(?:\.\d+)+/.exec(says)?.[0] ?? '' }
  } catch {
    return undefined
  }
}

function isThere(file) {
  return access(file).then(
    () => true,
    () => false,
  )
}
