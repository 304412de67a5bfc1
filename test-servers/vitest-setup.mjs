// Vitest's global set-up: opens the host of this run, and prints at its end which servers were used.
import { RUN_SOCKET } from './run.mjs'
import { openRunHost } from './run-host.mjs'
import { serverTable, sumUpServers } from './server-table.mjs'

export default async function setup() {
  const host = await openRunHost()
  const before = process.env[RUN_SOCKET]
  process.env[RUN_SOCKET] = host.path
  return async () => {
    if (before === undefined) delete process.env[RUN_SOCKET]
    else process.env[RUN_SOCKET] = before
    await host.close()
    const rows = sumUpServers(host.uses())
    if (rows.length > 0) console.log(`\n Test servers\n${serverTable(rows)}`)
  }
}
