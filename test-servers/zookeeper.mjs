import { writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { startInstance } from './instance.mjs'
import { programOf } from './programs.mjs'

/** See index.d.mts. */
export async function startZookeeper({ settings = {} } = {}) {
  const program = await programOf('zookeeper')
  return startInstance({
    engine: 'zookeeper',
    program,
    endSignal: 'SIGKILL',
    url: ({ port }) => `127.0.0.1:${port}`,
    async prepare({ folder, port }) {
      const lines = {
        dataDir: join(folder, 'data'),
        clientPort: String(port),
        clientPortAddress: '127.0.0.1',
        tickTime: '200',
        maxSessionTimeout: '36000000',
        maxClientCnxns: '0',
        'admin.enableServer': 'false',
        '4lw.commands.whitelist': 'srvr',
        ...settings,
      }
      const text = Object.entries(lines).map(([name, value]) => `${name}=${value}\n`)
      await writeFile(join(folder, 'zoo.cfg'), text.join(''))
    },
    args: ({ folder }) => [
      ...['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-Xmx128m'],
      ...['-Dzookeeper.forceSync=no', '-Dzookeeper.jmx.log4j.disable=true'],
      ...['-cp', program.classPath, 'org.apache.zookeeper.server.ZooKeeperServerMain'],
      join(folder, 'zoo.cfg'),
    ],
    async ready({ port }) {
      const says = await fourLetters(port, 'srvr')
      if (!/^Mode: /m.test(says)) throw new Error('it does not serve yet')
      return /version: (\d+(?:\.\d+)+)/.exec(says)?.[1]
    },
  })
}

/** Asks with one of the words that ZooKeeper answers before any session. */
function fourLetters(port, word) {
  return new Promise((resolve, reject) => {
    let says = ''
    const socket = connect({ host: '127.0.0.1', port })
    socket.setTimeout(2000, () => socket.destroy(new Error('it does not answer')))
    socket.on('connect', () => socket.end(word))
    socket.on('data', (bytes) => {
      says += bytes
    })
    socket.on('error', reject)
    socket.on('close', () => resolve(says))
  })
}
