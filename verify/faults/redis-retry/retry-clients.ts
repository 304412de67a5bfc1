import { Cluster, Redis } from 'ioredis'
import { createClient, createCluster } from 'redis'
import type { Target } from '../harness/trial-kind.ts'

/** The packages whose clients are wrapped. */
export const CLIENTS = ['ioredis', 'node-redis'] as const
export type ClientName = (typeof CLIENTS)[number]

/** What they talk to. */
export const TOPOLOGIES = ['standalone', 'cluster'] as const
export type Topology = (typeof TOPOLOGIES)[number]

/** A node, and the address under which clients reach it. */
export interface Reach {
  readonly node: Target
  readonly by: Target
}

/** An open client. */
export interface RetryClient {
  /** What the wrapper takes. */
  readonly client: object
  /** Sends a command as a user of the bare client does; `key` is the first. */
  send(command: string, key: string, ...args: readonly string[]): Promise<unknown>
  close(): void
}

const backOff = (times: number) => Math.min(10 * times, 100)

/** Opens a client. `asItComes` leaves the options of ioredis as they are, so that it sends again by itself. */
export async function openRetryClient(
  name: ClientName,
  topology: Topology,
  nodes: readonly Reach[],
  asItComes: boolean,
): Promise<RetryClient> {
  const addresses = nodes.map(({ by }) => ({ host: by.host, port: by.port }))
  const map = Object.fromEntries(
    nodes.map(({ node, by }) => [`${node.host}:${node.port}`, { host: by.host, port: by.port }]),
  )
  const [first = { host: '127.0.0.1', port: 0 }] = addresses
  if (name === 'ioredis') {
    const once = { autoResendUnfulfilledCommands: false, enableOfflineQueue: false, maxRetriesPerRequest: 0 }
    const client =
      topology === 'cluster'
        ? new Cluster(addresses, {
            natMap: map,
            slotsRefreshTimeout: 3000,
            clusterRetryStrategy: backOff,
            ...(asItComes ? {} : { retryDelayOnFailover: 0, enableOfflineQueue: false }),
          })
        : new Redis({ ...first, retryStrategy: backOff, ...(asItComes ? {} : once) })
    client.on('error', () => {})
    await new Promise<void>((resolve) => void client.once('ready', resolve))
    return {
      client,
      send: (command, key, ...args) => client.call(command, key, ...args),
      close: () => client.disconnect(),
    }
  }
  if (topology === 'cluster') {
    const client = createCluster({
      rootNodes: addresses.map((socket) => ({ socket })),
      nodeAddressMap: map,
      defaults: { socket: { reconnectStrategy: backOff } },
    })
    client.on('error', () => {})
    await client.connect()
    return {
      client,
      send: (command, key, ...args) => client.sendCommand(key, false, [command, key, ...args]),
      close: () => client.destroy(),
    }
  }
  const client = createClient({ socket: { ...first, reconnectStrategy: backOff } })
  client.on('error', () => {})
  await client.connect()
  return { client, send: (...words) => client.sendCommand(words), close: () => client.destroy() }
}
