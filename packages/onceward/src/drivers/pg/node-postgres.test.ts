import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import pg from 'pg'
import { expect, it } from 'vitest'
import { systemTimers } from '../../core/system.ts'
import { nodePostgres } from './node-postgres.ts'

/** A message of the server in the protocol of PostgreSQL: a letter, its length, its content. */
function message(letter: string, content: Buffer): Buffer {
  const length = Buffer.alloc(4)
  length.writeInt32BE(content.length + 4)
  return Buffer.concat([Buffer.from(letter), length, content])
}

it('lets no process end by a server that dies right after it has let a client in', async () => {
  const welcome = [message('R', Buffer.alloc(4)), message('Z', Buffer.from('I'))]
  const fatal = message('E', Buffer.from('SFATAL\0C57P01\0Mterminating connection\0\0'))
  const server = createServer((socket) => {
    socket.on('error', () => {})
    // All in one piece, as when the server is killed at that moment.
    socket.once('data', () => socket.end(Buffer.concat([...welcome, fatal])))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const pool = new pg.Pool({ host: '127.0.0.1', port, user: 'nobody', database: 'none' })
  const driver = nodePostgres(pool as never, { queryTimeoutMs: 2000, prepare: false, timers: systemTimers })
  await expect(driver.run({ text: 'SELECT 1', columns: ['one'] }, [])).rejects.toThrow()
  await pool.end()
  server.close()
})
