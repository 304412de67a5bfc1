// Runs a program with DATABASE_URL, MYSQL_URL or REDIS_URL, or several of them. Those that you have not set are of servers
// that are started for it and end with it:
//   node examples/test-support/with-servers.mjs postgres examples/orders-postgres/server.js
//   node examples/test-support/with-servers.mjs postgres,redis examples/cancel-orders/run.js --locks redis
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { startMariadb, startPostgres, startRedis } from '../../test-servers/index.mjs'

const SERVERS = {
  mariadb: { variable: 'MYSQL_URL', start: () => startMariadb() },
  postgres: { variable: 'DATABASE_URL', start: () => startPostgres() },
  redis: { variable: 'REDIS_URL', start: () => startRedis() },
}

const [names = '', program, ...rest] = process.argv.slice(2)
const servers = names.split(',').map((name) => SERVERS[name])
if (!program || servers.includes(undefined)) {
  console.error('which program? with-servers.mjs postgres|mariadb|redis|postgres,redis <program> [arguments]')
  process.exit(2)
}
const started = []
try {
  const env = { ...process.env }
  for (const { variable, start } of servers) {
    if (env[variable]) continue
    const server = await start()
    started.push(server)
    env[variable] = server.url
  }
  const child = spawn(process.execPath, [program, ...rest], { stdio: 'inherit', env })
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill('SIGTERM'))
  const [code] = await once(child, 'exit')
  process.exitCode = code ?? 1
} finally {
  await Promise.all(started.map((server) => server.stop()))
}
