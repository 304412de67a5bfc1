import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { access, mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { startInstance } from './instance.mjs'
import { createMysqlDatabase, mysqlQuery } from './mysql-sql.mjs'
import { programOf } from './programs.mjs'
import { ServerMissing } from './server-missing.mjs'

const USER = 'onceward'
const PASSWORD = 'onceward'

/** Nobody needs the data of a test after a crash of the machine. */
const FAST = {
  innodb_flush_log_at_trx_commit: '0',
  innodb_doublewrite: 'OFF',
  innodb_flush_method: 'nosync',
  sync_binlog: '0',
}

const OWN = {
  'bind-address': '127.0.0.1',
  'skip-name-resolve': '1',
  'max-connections': '400',
  'innodb-buffer-pool-size': '64M',
  'innodb-log-file-size': '32M',
  'character-set-server': 'utf8mb4',
  'default-time-zone': '+00:00',
}

/** The tables of the server's own database, in the order in which they must be made; names changed with 11. */
const SYSTEM_TABLES = [
  ['mysql_system_tables.sql', 'mariadb_system_tables.sql'],
  ['mysql_performance_tables.sql', 'mariadb_performance_tables.sql'],
  ['mysql_system_tables_data.sql', 'mariadb_system_tables_data.sql'],
  ['maria_add_gis_sp_bootstrap.sql'],
  ['mysql_sys_schema.sql', 'mariadb_sys_schema.sql'],
]

/** See index.d.mts. */
export async function startMariadb({ settings = {}, durable = false, dataFolder, env } = {}) {
  const program = await programOf('mariadb')
  const share = await shareOf(program)
  const url = ({ port }) => `mysql://${USER}:${PASSWORD}@127.0.0.1:${port}/mysql`
  const options = { ...OWN, ...(durable ? {} : FAST), ...settings }
  const server = await startInstance({
    engine: 'mariadb',
    program,
    env,
    dataFolder,
    endSignal: 'SIGKILL',
    url,
    async prepare({ folder }) {
      if (existsSync(join(folder, 'data'))) return
      await mkdir(join(folder, 'data'))
      await initialize(program, share, folder)
    },
    args: ({ folder, port }) => [
      ...places(share, folder),
      `--port=${port}`,
      `--socket=${join(folder, 'socket')}`,
      `--pid-file=${join(folder, 'pid')}`,
      ...Object.entries(options).map(([name, value]) => `--${name}=${value}`),
    ],
    async ready(at) {
      const [row] = await mysqlQuery(url(at), 'SELECT version() AS version')
      return row.version.replace(/-MariaDB.*/, '-MariaDB')
    },
  })
  return withMysql(server)
}

/** Gives an endpoint its `createDatabase` and `query`. */
export function withMysql(endpoint) {
  return Object.assign(endpoint, {
    createDatabase: (name) => createMysqlDatabase(endpoint.url, name),
    query: (sql, parameters, database) => mysqlQuery(endpoint.url, sql, parameters, database),
  })
}

/** Where the server finds its parts, which were compiled in for another root, and keeps its files. */
function places(share, folder) {
  return [
    '--no-defaults',
    `--basedir=${join(share, '..', '..')}`,
    `--lc-messages-dir=${share}`,
    `--character-sets-dir=${join(share, 'charsets')}`,
    `--plugin-dir=${folder}`,
    `--datadir=${join(folder, 'data')}`,
    `--tmpdir=${folder}`,
    ...(process.getuid?.() === 0 ? ['--user=root'] : []),
  ]
}

/** What `mariadb-install-db` does, which is a script that does not find its parts in a prefix; and our user. */
async function initialize(program, share, folder) {
  const text = [
    // One statement a line is how the server reads here.
    'CREATE DATABASE mysql;',
    'USE mysql;',
    'SET @auth_root_socket = NULL;',
    'SET @skip_auth_anonymous = 1;',
    ...(await Promise.all(SYSTEM_TABLES.map((names) => readFirst(share, names)))),
    'FLUSH PRIVILEGES;',
    `CREATE USER '${USER}'@'127.0.0.1' IDENTIFIED BY '${PASSWORD}';`,
    `GRANT ALL PRIVILEGES ON *.* TO '${USER}'@'127.0.0.1' WITH GRANT OPTION;`,
    '',
  ].join('\n')
  const flags = [
    '--bootstrap',
    '--skip-networking',
    '--innodb-log-file-size=32M',
    '--innodb-flush-method=nosync',
  ]
  const child = spawn(program.file, [...places(share, folder), ...flags], {
    cwd: folder,
    env: { PATH: process.env['PATH'] ?? '', LC_ALL: 'C', ...program.env },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => (output += bytes))
  child.stdin.on('error', () => {})
  child.stdin.end(text)
  const code = await new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  if (code !== 0 || /^ERROR: /m.test(output))
    throw new Error(`mariadb cannot make its tables (${code}):\n${output.slice(-2_000)}`)
}

async function readFirst(share, names) {
  for (const name of names) {
    try {
      return await readFile(join(share, name), 'utf8')
    } catch {}
  }
  throw new ServerMissing('mariadb', `${names.join(' or ')} is not in ${share}`)
}

async function shareOf(program) {
  for (const name of ['usr/share/mysql', 'usr/share/mariadb', 'share/mysql', 'share/mariadb', 'share']) {
    const folder = join(program.root === '/' ? join(program.folder, '../..') : program.root, name)
    try {
      await access(join(folder, SYSTEM_TABLES[3][0]))
      return folder
    } catch {}
  }
  throw new ServerMissing('mariadb', `no folder with the server's own tables belongs to ${program.file}`)
}
