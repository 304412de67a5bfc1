import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { startInstance } from './instance.mjs'
import { createPostgresDatabase, postgresQuery } from './postgres-sql.mjs'

const run = promisify(execFile)

/** What a primary and a replica have in common. */
export async function startPostgresInstance({ program, user, env, dataFolder, password, prepare }) {
  const url = ({ port }) =>
    `postgres://postgres${password === undefined ? '' : `:${encodeURIComponent(password)}`}@127.0.0.1:${port}/postgres`
  const server = await startInstance({
    engine: 'postgres',
    program,
    user,
    env,
    dataFolder,
    // Immediate shutdown: as quick as SIGKILL, and the kernel gets its shared memory back.
    endSignal: 'SIGQUIT',
    url,
    prepare,
    args: ({ folder }) => ['-D', join(folder, 'data')],
    async ready(at) {
      const [row] = await postgresQuery(url(at), `SELECT current_setting('server_version') AS version`)
      return row.version.split(' ')[0]
    },
  })
  return withSql(server)
}

/** Gives an endpoint its `createDatabase` and `query`. */
export function withSql(endpoint) {
  return Object.assign(endpoint, {
    createDatabase: (name) => createPostgresDatabase(endpoint.url, name),
    query: (sql, parameters, database) => postgresQuery(endpoint.url, sql, parameters, database),
  })
}

/** Runs one of the programs beside the server, as the server's user. */
export function runTool(program, tool, user, parameters, env = {}) {
  return run(join(program.folder, tool), parameters, {
    cwd: '/',
    env: { PATH: process.env['PATH'] ?? '', LC_ALL: 'C', ...program.env, ...env },
    ...user,
  })
}

export async function writeSettings(folder, settings) {
  const lines = Object.entries(settings).map(
    ([name, value]) => `${name} = '${value.replaceAll("'", "''")}'\n`,
  )
  await writeFile(join(folder, 'data', 'onceward.conf'), lines.join(''), { mode: 0o644 })
  const main = join(folder, 'data', 'postgresql.conf')
  const text = await readFile(main, 'utf8')
  const include = `include 'onceward.conf'\n`
  if (!text.includes(include)) await writeFile(main, text + include)
}
