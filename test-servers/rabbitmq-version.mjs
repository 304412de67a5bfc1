import { readdir } from 'node:fs/promises'
import { connect } from 'node:net'
import { dirname, join } from 'node:path'

/** The version of the RabbitMQ whose start script this is: it lies beside the plugins, one of which is the server. */
export async function versionBesidePlugins(file) {
  const names = await readdir(join(dirname(file), '../plugins')).catch(() => [])
  return names
    .map((name) => /^rabbit-(\d+(?:\.\d+)+)/.exec(name)?.[1])
    .find((version) => version !== undefined)
}

/** Asks for AMQP 0-9-1; a server that is up answers with its properties, before any login. */
export function rabbitmqVersion({ host = '127.0.0.1', port }) {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port })
    let received = ''
    socket.setTimeout(2_000, () => socket.destroy(new Error('it does not answer')))
    socket.once('connect', () => socket.write('AMQP\0\0\t\u0001'))
    socket.setEncoding('latin1')
    socket.on('data', (text) => {
      received += text
      const version = versionOf(received)
      if (version === undefined) return
      socket.destroy()
      resolve(version)
    })
    socket.once('error', reject)
    socket.once('close', () => reject(new Error('it closed the connection')))
  })
}

/** Reads a property that is a long string: its name, `S`, four bytes of length, the text. */
function versionOf(received) {
  const at = received.indexOf('versionS') + 'versionS'.length + 4
  const text = received.slice(at, at + received.charCodeAt(at - 1))
  return at > 12 && /^\d+(?:\.\d+)+/.test(text) ? text : undefined
}
