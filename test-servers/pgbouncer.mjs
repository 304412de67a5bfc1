import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { startInstance } from './instance.mjs'
import { postgresQuery } from './postgres-sql.mjs'
import { programOf } from './programs.mjs'
import { unprivilegedUser } from './unprivileged-user.mjs'

/** See index.d.mts. */
export async function startPgbouncer({ upstream, poolMode = 'transaction', settings = {} }) {
  const program = await programOf('pgbouncer')
  const { hostname, port: upstreamPort, username, password } = new URL(upstream)
  const target = [
    `host=${hostname} port=${upstreamPort || 5432}`,
    `user=${quoted(username || 'postgres')}`,
    ...(password === '' ? [] : [`password=${quoted(password)}`]),
  ]
  const url = ({ port }) => {
    const changed = new URL(upstream)
    changed.hostname = '127.0.0.1'
    changed.port = String(port)
    return changed.href
  }
  return startInstance({
    engine: 'pgbouncer',
    program,
    user: await unprivilegedUser(),
    endSignal: 'SIGKILL',
    url,
    async prepare({ folder, port }) {
      const lines = {
        listen_addr: '127.0.0.1',
        listen_port: String(port),
        unix_socket_dir: '',
        // Whoever comes is let in, as the user of `upstream`.
        auth_type: 'any',
        pool_mode: poolMode,
        max_client_conn: '500',
        ignore_startup_parameters: 'extra_float_digits',
        ...settings,
      }
      const text = Object.entries(lines).map(([name, value]) => `${name} = ${value}`)
      const file = join(folder, 'pgbouncer.ini')
      await writeFile(
        file,
        ['[databases]', `* = ${target.join(' ')}`, '[pgbouncer]', ...text, ''].join('\n'),
        {
          mode: 0o644,
        },
      )
    },
    args: ({ folder }) => [join(folder, 'pgbouncer.ini')],
    async ready(at) {
      await postgresQuery(url(at), 'SELECT 1')
      return program.version
    },
  })
}

function quoted(part) {
  return `'${decodeURIComponent(part).replaceAll("'", "''")}'`
}
