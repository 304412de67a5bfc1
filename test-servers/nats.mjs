import { connect } from 'node:net'
import { join } from 'node:path'
import { startInstance } from './instance.mjs'
import { programOf } from './programs.mjs'

/** See index.d.mts. */
export async function startNats({ flags = [] } = {}) {
  const program = await programOf('nats')
  return startInstance({
    engine: 'nats',
    program,
    endSignal: 'SIGKILL',
    url: ({ port }) => `nats://127.0.0.1:${port}`,
    args: ({ folder, port }) => [
      ...['--jetstream', '--store_dir', join(folder, 'data')],
      ...['--addr', '127.0.0.1', '--port', String(port)],
      ...flags,
    ],
    ready: natsVersion,
  })
}

/** A server that is up greets each connection with one line of JSON. */
export function natsVersion({ host = '127.0.0.1', port }) {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port })
    let received = ''
    socket.setTimeout(2_000, () => socket.destroy(new Error('it does not answer')))
    socket.setEncoding('utf8')
    socket.on('data', (text) => {
      received += text
      const [, greeting] = /^INFO (\{.*\})\s*\r\n/.exec(received) ?? []
      if (greeting === undefined) return
      socket.destroy()
      const { version, jetstream } = JSON.parse(greeting)
      if (jetstream) resolve(version)
      else reject(new Error('its JetStream is not on'))
    })
    socket.once('error', reject)
    socket.once('close', () => reject(new Error('it closed the connection')))
  })
}
