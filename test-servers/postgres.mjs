import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { runTool, startPostgresInstance, writeSettings } from './postgres-instance.mjs'
import { createReplica } from './postgres-replica.mjs'
import { programOf } from './programs.mjs'
import { unprivilegedUser } from './unprivileged-user.mjs'

/** What any instance needs here: no files outside its folder, no memory that outlives a SIGKILL. */
const OWN = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  dynamic_shared_memory_type: 'mmap',
  max_connections: '300',
  logging_collector: 'off',
  timezone: 'UTC',
  wal_keep_size: '64MB',
}

/** Nobody needs the data of a test after a crash of the machine. */
const FAST = { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' }

/** See index.d.mts. */
export async function startPostgres({ settings = {}, durable = false, password, dataFolder, env } = {}) {
  const user = await unprivilegedUser()
  const program = await programOf('postgres')
  const lines = { ...OWN, ...(durable ? {} : FAST), ...settings }
  const server = await startPostgresInstance({
    program,
    user,
    env,
    dataFolder,
    password,
    async prepare({ folder, port }) {
      if (!existsSync(join(folder, 'data'))) await initialize({ program, folder, user, password })
      await writeSettings(folder, { ...lines, port: String(port) })
    },
  })
  return Object.assign(server, {
    createReplica: (options = {}) =>
      createReplica({ primary: server, program, user, password, lines, env }, options),
  })
}

async function initialize({ program, folder, user, password }) {
  const passwordFile = join(folder, 'password')
  if (password !== undefined) await writeFile(passwordFile, password)
  const auth = password === undefined ? ['-A', 'trust'] : ['-A', 'scram-sha-256', '--pwfile', passwordFile]
  await runTool(program, 'initdb', user, [
    ...['-D', join(folder, 'data'), '-U', 'postgres', '-E', 'UTF8', '--locale=C', '--no-sync'],
    ...auth,
  ])
}
