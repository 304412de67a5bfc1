import { randomBytes } from 'node:crypto'
import { Cluster, Redis } from 'ioredis'
import { createClient, createCluster, createSentinel } from 'redis'
import { expect } from 'vitest'
import { isOncewardError, type OncewardError } from '../../src/core/errors.ts'
import type { RedisClient } from '../../src/drivers/redis/index.ts'

/** An open client, and how to close it. */
export interface OpenClient {
  readonly client: RedisClient
  /** Sends a command as a user of the bare client does. */
  readonly bare: (...words: readonly (string | Buffer)[]) => Promise<unknown>
  readonly close: () => void
}

/** The two packages. */
export const CLIENTS = ['node-redis', 'ioredis'] as const

/** The options that ioredis needs to send nothing twice. */
export const SENDS_ONCE = {
  autoResendUnfulfilledCommands: false,
  enableOfflineQueue: false,
  maxRetriesPerRequest: 0,
  retryStrategy: (times: number) => Math.min(10 * times, 200),
} as const

interface Address {
  readonly host: string
  readonly port: number
}

/** Opens a client of a single server; `options` are added. */
export const SINGLE: Readonly<
  Record<(typeof CLIENTS)[number], (url: string, options?: object) => Promise<OpenClient>>
> = {
  async 'node-redis'(url, options = {}) {
    const client = createClient({
      url,
      socket: { reconnectStrategy: (times: number) => Math.min(10 * times, 200) },
      ...options,
    })
    client.on('error', () => {})
    await client.connect()
    return { client, bare: (...words) => client.sendCommand([...words]), close: () => client.destroy() }
  },
  async ioredis(url, options = {}) {
    const client = new Redis(url, { ...SENDS_ONCE, ...options })
    client.on('error', () => {})
    if (client.status !== 'ready') await new Promise<void>((resolve) => void client.once('ready', resolve))
    return {
      client,
      // As the method of that name answers: `client.zpopmin(…)`.
      bare: (name, ...args) => client.call(String(name).toLowerCase(), ...args),
      close: () => client.disconnect(),
    }
  },
}

/** Opens a client of a cluster. */
export const CLUSTER: Readonly<
  Record<(typeof CLIENTS)[number], (nodes: readonly Address[]) => Promise<OpenClient>>
> = {
  async 'node-redis'(nodes) {
    const client = createCluster({ rootNodes: nodes.map(({ host, port }) => ({ socket: { host, port } })) })
    client.on('error', () => {})
    await client.connect()
    return {
      client,
      bare: (name, ...args) => client.sendCommand(args[0], false, [name as string, ...args]),
      close: () => client.destroy(),
    }
  },
  async ioredis(nodes) {
    const client = new Cluster([...nodes], {
      retryDelayOnFailover: 0,
      enableOfflineQueue: false,
      slotsRefreshTimeout: 2000,
    })
    client.on('error', () => {})
    await new Promise<void>((resolve) => void client.once('ready', resolve))
    return {
      client,
      bare: (name, ...args) => client.call(String(name), ...args),
      close: () => client.disconnect(),
    }
  },
}

/** Opens a client of a primary behind Sentinel. */
export const SENTINEL: Readonly<
  Record<(typeof CLIENTS)[number], (name: string, sentinels: readonly Address[]) => Promise<OpenClient>>
> = {
  async 'node-redis'(name, sentinels) {
    const client = createSentinel({
      name,
      sentinelRootNodes: sentinels.map(({ host, port }) => ({ host, port })),
    })
    client.on('error', () => {})
    await client.connect()
    return {
      client,
      bare: (...words) => client.sendCommand(false, [...words]),
      close: () => client.destroy(),
    }
  },
  async ioredis(name, sentinels) {
    const client = new Redis({
      ...SENDS_ONCE,
      name,
      sentinels: sentinels.map(({ host, port }) => ({ host, port })),
      sentinelRetryStrategy: () => 100,
      reconnectOnError: (error) => error.message.startsWith('READONLY'),
    })
    client.on('error', () => {})
    await new Promise<void>((resolve) => void client.once('ready', resolve))
    return {
      client,
      bare: (command, ...args) => client.call(String(command), ...args),
      close: () => client.disconnect(),
    }
  },
}

/** Whether a client of either package would send at once. */
export function isReady(client: object): boolean {
  const { isReady: ready, status } = client as { readonly isReady?: boolean; readonly status?: string }
  return ready ?? status === 'ready'
}

/** A key, or a prefix, that nobody else uses. */
export function some(what = 'k'): string {
  return `rr:${what}:${randomBytes(6).toString('hex')}`
}

/** The error of ours with which a call fails. */
export async function failureOf(call: Promise<unknown>): Promise<OncewardError> {
  const error = await call.then(
    (value) => expect.fail(`it answered ${String(value)} instead of failing`),
    (thrown: unknown) => thrown,
  )
  if (!isOncewardError(error)) expect.fail(`not one of our errors: ${String(error)}`)
  return error
}
