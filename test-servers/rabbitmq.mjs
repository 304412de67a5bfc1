import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { startInstance } from './instance.mjs'
import { programOf } from './programs.mjs'
import { rabbitmqVersion } from './rabbitmq-version.mjs'

const NODE = 'rabbit@127.0.0.1'

/**
 * One node that nobody joins: it has a name, as it must, and neither listens for other nodes nor starts the daemon (epmd)
 * that would tell them where. The port is asked of nobody.
 */
const ALONE = `-name ${NODE} -start_epmd false -dist_listen false -erl_epmd_port 1 +S 2:2`

/** See index.d.mts. */
export async function startRabbitmq({ config = {} } = {}) {
  const program = await programOf('rabbitmq')
  const erlang = await erlangOf(program)
  const server = await startInstance({
    engine: 'rabbitmq',
    program,
    endSignal: 'SIGKILL',
    url: ({ port }) => `amqp://guest:guest@127.0.0.1:${port}`,
    async prepare({ folder, port }) {
      const lines = {
        'listeners.tcp.default': `127.0.0.1:${port}`,
        'log.console': 'true',
        'log.file': 'false',
        ...config,
      }
      const text = Object.entries(lines).map(([name, value]) => `${name} = ${value}\n`)
      await writeFile(join(folder, 'rabbitmq.conf'), text.join(''))
      await writeFile(join(folder, 'enabled_plugins'), '[].\n')
      await writeFile(join(folder, 'rabbitmq-env.conf'), '')
      await mkdir(join(folder, 'bin'))
      if (erlang !== undefined) await writeErl(join(folder, 'bin', 'erl'), erlang)
    },
    env: ({ folder }) => ({
      PATH: [join(folder, 'bin'), process.env['PATH'] ?? ''].join(delimiter),
      // Its secret (.erlang.cookie) lies there.
      HOME: folder,
      // Has the script replace itself by the server, so that the server has the id we know.
      RUNNING_UNDER_SYSTEMD: 'true',
      RABBITMQ_NODENAME: NODE,
      RABBITMQ_USE_LONGNAME: 'true',
      RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: ALONE,
      RABBITMQ_CONF_ENV_FILE: join(folder, 'rabbitmq-env.conf'),
      RABBITMQ_CONFIG_FILE: join(folder, 'rabbitmq'),
      RABBITMQ_CONFIG_FILES: join(folder, 'conf.d'),
      RABBITMQ_ADVANCED_CONFIG_FILE: join(folder, 'advanced'),
      RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, 'enabled_plugins'),
      RABBITMQ_MNESIA_BASE: join(folder, 'data'),
      RABBITMQ_LOG_BASE: join(folder, 'log'),
      RABBITMQ_GENERATED_CONFIG_DIR: join(folder, 'generated'),
      RABBITMQ_PID_FILE: join(folder, 'pid'),
    }),
    args: () => [],
    ready: rabbitmqVersion,
  })
  const folder = join(server.folder, 'data', NODE)
  return Object.assign(server, { declared: (...names) => declared(folder, names) })
}

/** The files of its database that hold what was declared. */
const WRITTEN_DOWN = /^(LATEST\.LOG|PREVIOUS\.LOG|rabbit_durable_(queue|exchange)\.DC[DL])$/

/**
 * Waits until each name is written down and its log holds an end for each transaction. The server writes both behind the
 * answer to the client: first the transaction with the name, then its end. A transaction without an end is given up at the
 * next start, and with it what was declared in it.
 */
async function declared(folder, names) {
  for (const until = Date.now() + 30_000; ; await sleep(10)) {
    const files = (await readdir(folder)).filter((name) => WRITTEN_DOWN.test(name))
    const texts = await Promise.all(
      files.map((name) => readFile(join(folder, name), 'latin1').catch(() => '')),
    )
    const missing = names.filter((name) => !texts.some((text) => text.includes(name)))
    const times = (word) => texts.reduce((sum, text) => sum + text.split(word).length - 1, 0)
    if (missing.length === 0 && times('committed') + times('aborted') >= times('presume_abort')) return
    if (Date.now() > until) {
      throw new Error(
        `rabbitmq has not written down what was declared: ${missing.join(', ') || 'an end is missing'}`,
      )
    }
  }
}

/** Where the Erlang of the prefix is, if it has one: otherwise that of this machine is used. */
async function erlangOf({ root }) {
  const folder = join(root, 'usr/lib/erlang')
  if (root === '/') return undefined
  const names = await readdir(folder).catch(() => [])
  const runtime = names.find((name) => name.startsWith('erts-'))
  return runtime === undefined ? undefined : { folder, programs: join(folder, runtime, 'bin') }
}

/** The `erl` of the package looks for its parts at the place for which it was made. */
async function writeErl(file, { folder, programs }) {
  const lines = [
    '#!/bin/sh',
    `export ROOTDIR='${folder}' BINDIR='${programs}' EMU=beam PROGNAME=erl`,
    'exec "$BINDIR/erlexec" "$@"',
  ]
  await writeFile(file, `${lines.join('\n')}\n`)
  await chmod(file, 0o755)
}
