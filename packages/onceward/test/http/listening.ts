import { once } from 'node:events'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { HttpTarget } from '../../src/testing/http-target.ts'

/** Lets a server listen on a free port of this machine. Closing it cuts what still hangs. */
export async function listening(
  server: Server,
  alsoClose: () => Promise<unknown> = async () => {},
): Promise<HttpTarget> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
      await alsoClose()
    },
  }
}
