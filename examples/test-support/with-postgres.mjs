// Runs a program with DATABASE_URL; without one of your own, that of a PostgreSQL started for it, which ends with it:
//   node examples/test-support/with-postgres.mjs examples/orders-postgres/server.js
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { startPostgres } from '../../test-servers/index.mjs'

const [program, ...rest] = process.argv.slice(2)
if (!program) {
  console.error('which program? with-postgres.mjs <program> [arguments]')
  process.exit(2)
}
const postgres = process.env.DATABASE_URL ? undefined : await startPostgres()
try {
  const DATABASE_URL = process.env.DATABASE_URL ?? postgres?.url
  const child = spawn(process.execPath, [program, ...rest], {
    stdio: 'inherit',
    env: { ...process.env, DATABASE_URL },
  })
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill('SIGTERM'))
  const [code] = await once(child, 'exit')
  process.exitCode = code ?? 1
} finally {
  await postgres?.stop()
}
