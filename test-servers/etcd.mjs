import { join } from 'node:path'
import { startInstance } from './instance.mjs'
import { freePort } from './ports.mjs'
import { programOf } from './programs.mjs'

/** See index.d.mts. */
export async function startEtcd({ flags = [] } = {}) {
  const program = await programOf('etcd')
  const url = ({ port }) => `http://127.0.0.1:${port}`
  return startInstance({
    engine: 'etcd',
    program,
    endSignal: 'SIGKILL',
    // Its makers vouch for one architecture only.
    env: process.arch === 'x64' ? {} : { ETCD_UNSUPPORTED_ARCH: process.arch },
    url,
    prepare: async () => ({ peer: `http://127.0.0.1:${await freePort()}` }),
    args: ({ folder, port, peer }) => [
      ...['--name', 'onceward', '--data-dir', join(folder, 'data')],
      ...['--listen-client-urls', url({ port }), '--advertise-client-urls', url({ port })],
      ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer],
      ...['--initial-cluster', `onceward=${peer}`, '--log-level', 'warn'],
      ...flags,
    ],
    async ready(at) {
      const [health, version] = await Promise.all(
        ['health', 'version'].map(async (path) => (await fetch(`${url(at)}/${path}`)).json()),
      )
      if (health.health !== 'true') throw new Error('it is not healthy yet')
      return version.etcdserver
    },
  })
}
