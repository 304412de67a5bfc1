import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { startInstance } from './instance.mjs'
import { waitForPort } from './ports.mjs'
import { programOf } from './programs.mjs'

const TEMPORARY = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']

/** See index.d.mts. */
export async function startNginx({ config }) {
  const program = await programOf('nginx')
  return startInstance({
    engine: 'nginx',
    program,
    endSignal: 'SIGTERM',
    url: ({ port }) => `http://127.0.0.1:${port}`,
    async prepare({ folder, port }) {
      for (const name of TEMPORARY) await mkdir(join(folder, name))
      await writeFile(join(folder, 'nginx.conf'), keptInside(folder, config(port)))
    },
    args: ({ folder }) => ['-p', folder, '-c', join(folder, 'nginx.conf'), '-e', 'stderr'],
    async ready({ port }) {
      await waitForPort(port, { timeoutMs: 100 })
      return program.version
    },
  })
}

/** Names every file that nginx would otherwise look for in the places of its package. */
function keptInside(folder, config) {
  const lines = [
    'daemon off;',
    `pid ${join(folder, 'nginx.pid')};`,
    'error_log stderr;',
    // Its workers would become somebody who may not enter the folder.
    ...(process.getuid?.() === 0 ? ['user root;'] : []),
  ]
  const paths = TEMPORARY.map((name) => `${name}_temp_path ${join(folder, name)};`)
  const inHttp = config.replace(
    /\bhttp\s*\{/,
    (opening) => `${opening}\naccess_log off;\n${paths.join('\n')}\n`,
  )
  return `${lines.join('\n')}\n${inHttp}\n`
}
