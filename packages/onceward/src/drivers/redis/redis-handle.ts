/**
 * The parts of the clients that are used. Nothing of them is imported; a client is recognised by its methods.
 */

/** The part of a client of `redis` (node-redis 5 and 6) that all of its kinds have. */
interface NodeRedisBase {
  readonly isOpen: boolean
  readonly isReady?: boolean
  readonly options?: unknown
  on(event: string, listener: (...args: never[]) => void): unknown
  off(event: string, listener: (...args: never[]) => void): unknown
  withTypeMapping(mapping: object): unknown
  subscribe(
    channel: string | string[],
    listener: (message: string, channel: string) => void,
  ): Promise<unknown>
  unsubscribe(
    channel: string | string[],
    listener?: (message: string, channel: string) => void,
  ): Promise<unknown>
}

/** What is handed to a command of node-redis. */
export interface NodeRedisCommandOptions {
  /** Default: what the user has set. */
  readonly typeMapping?: object
  readonly abortSignal?: AbortSignal
  readonly timeout?: undefined
}

/** What `createClient` of `redis` makes. */
export interface NodeRedisClient extends NodeRedisBase {
  readonly isPubSubActive?: boolean
  sendCommand(args: readonly (string | Buffer)[], options?: NodeRedisCommandOptions): Promise<unknown>
  connect(): Promise<unknown>
  duplicate(): NodeRedisClient
  destroy(): void
}

/** What `createSentinel` of `redis` makes. */
export interface NodeRedisSentinel extends NodeRedisBase {
  getMasterNode(): { readonly host: string; readonly port: number } | undefined
  getSentinelNode(): unknown
  sendCommand(
    isReadonly: boolean | undefined,
    args: readonly (string | Buffer)[],
    options?: NodeRedisCommandOptions,
  ): Promise<unknown>
  connect(): Promise<unknown>
  duplicate(): NodeRedisSentinel
  acquire(): Promise<SentinelLease>
  destroy(): void
}

/** One connection to the primary, whichever that is. */
export interface SentinelLease {
  readonly sendCommand: NodeRedisSentinel['sendCommand']
}

/** What `createCluster` of `redis` makes. */
export interface NodeRedisCluster extends NodeRedisBase {
  readonly masters: readonly object[]
  readonly slots: readonly { readonly master: object }[]
  nodeClient(node: object): NodeRedisClient | Promise<NodeRedisClient>
  sendCommand(
    firstKey: string | Buffer | undefined,
    isReadonly: boolean | undefined,
    args: readonly (string | Buffer)[],
    options?: NodeRedisCommandOptions,
  ): Promise<unknown>
}

/** The part of a `Redis` of ioredis (5 and 6) that is used; Sentinel is an option of it. */
export interface IoRedisClient {
  readonly status: string
  readonly isCluster?: boolean
  readonly mode?: string
  readonly options: IoRedisOptions
  /** Its socket, while there is one. */
  readonly stream?: { cork?(): void; uncork?(): void }
  call(command: string, ...args: (string | Buffer)[]): Promise<unknown>
  callBuffer(command: string, ...args: (string | Buffer)[]): Promise<unknown>
  connect(): Promise<unknown>
  disconnect(): void
  duplicate(override?: object): IoRedisClient
  pipeline(): IoRedisPipeline
  subscribe(...channels: string[]): Promise<unknown>
  unsubscribe(...channels: string[]): Promise<unknown>
  on(event: string, listener: (...args: never[]) => void): unknown
  off(event: string, listener: (...args: never[]) => void): unknown
}

/** The options of ioredis that are looked at. */
export interface IoRedisOptions {
  readonly host?: string
  readonly port?: number
  readonly path?: string
  readonly keyPrefix?: string
  readonly name?: string
  readonly sentinels?: unknown
  readonly enableAutoPipelining?: boolean
}

/** The part of a `Cluster` of ioredis that is used. */
export interface IoRedisCluster extends Omit<IoRedisClient, 'duplicate'> {
  readonly isCluster: true
  nodes(role: 'master'): IoRedisClient[]
  duplicate(startupNodes?: readonly unknown[], override?: object): IoRedisCluster
}

/** Commands of ioredis that are written together. */
export interface IoRedisPipeline {
  call(command: string, ...args: (string | Buffer)[]): unknown
  callBuffer(command: string, ...args: (string | Buffer)[]): unknown
  exec(): Promise<readonly (readonly [Error | null, unknown])[] | null>
}

/** A client as it is used here, whichever it is. */
export type RedisHandle =
  | NodeRedisClient
  | NodeRedisSentinel
  | NodeRedisCluster
  | IoRedisClient
  | IoRedisCluster

/**
 * A client that is accepted: what `createClient`, `createSentinel` or `createCluster` of `redis` (node-redis 5 and 6)
 * makes, or a `Redis` or `Cluster` of `ioredis` (5 and 6). It stays the caller's: it is not closed here.
 */
export type RedisClient =
  | {
      readonly isOpen: boolean
      sendCommand(...args: never[]): Promise<unknown>
      duplicate(...args: never[]): unknown
    }
  | { readonly isOpen: boolean; sendCommand(...args: never[]): Promise<unknown>; getMasterNode(): unknown }
  | {
      readonly status: string
      callBuffer(...args: never[]): Promise<unknown>
      duplicate(...args: never[]): unknown
    }

/** Tells whether `value` is a client of ioredis. */
export function isIoRedis(value: object): value is IoRedisClient | IoRedisCluster {
  const { status, callBuffer, duplicate } = value as Partial<IoRedisClient>
  return typeof status === 'string' && typeof callBuffer === 'function' && typeof duplicate === 'function'
}

/** Tells whether `value` is a client of node-redis, and of which kind. */
export function nodeRedisKind(value: object): 'standalone' | 'sentinel' | 'cluster' | undefined {
  const client = value as Partial<NodeRedisClient & NodeRedisSentinel & NodeRedisCluster>
  if (typeof client.sendCommand !== 'function' || typeof client.isOpen !== 'boolean') return undefined
  if (typeof client.nodeClient === 'function') return 'cluster'
  if (typeof client.getSentinelNode === 'function') return 'sentinel'
  return typeof client.duplicate === 'function' && typeof client.isReady === 'boolean'
    ? 'standalone'
    : undefined
}

/**
 * Checks that a client can be used, and tells what it is.
 *
 * @throws `TypeError` that names the mend: for a promise, something else, a closed client, one that only listens, one
 * that writes another prefix before each key, and node-redis 4.
 */
export function assertUsable(where: string, client: unknown): asserts client is RedisHandle {
  assertClient(where, client)
  const keyPrefix = keyPrefixOf(client)
  if (keyPrefix !== undefined)
    throw new TypeError(`${where} needs a client without keyPrefix; leave it out and use the option prefix`)
}

/** What a client puts before each key, if anything. */
export function keyPrefixOf(client: unknown): string | undefined {
  const { options } = (client ?? {}) as { readonly options?: { readonly keyPrefix?: unknown } }
  const prefix = options?.keyPrefix
  return prefix === undefined || prefix === '' ? undefined : String(prefix)
}

/** `assertUsable` for whoever judges the prefix of keys by itself. @throws `TypeError` that names the mend. */
export function assertClient(where: string, client: unknown): asserts client is RedisHandle {
  if (typeof client !== 'object' || client === null) throw new TypeError(`${where} ${NEEDS}`)
  if (typeof (client as { then?: unknown }).then === 'function' && !('status' in client)) {
    throw new TypeError(`${where} was given a promise; await connect() and hand over the client itself`)
  }
  if (isIoRedis(client)) {
    if (client.status === 'end') {
      throw new TypeError(`${where} was given a closed ioredis client; hand over one that is open`)
    }
    if (client.mode === 'subscriber' || client.mode === 'monitor') refuseListener(where)
    return
  }
  const kind = nodeRedisKind(client)
  if (kind === undefined) throw new TypeError(`${where} ${NEEDS}`)
  const { withTypeMapping, options, isPubSubActive } = client as Partial<NodeRedisClient>
  if (typeof withTypeMapping !== 'function') {
    throw new TypeError(`${where} needs redis (node-redis) 5 or later: version 4 cannot answer bytes`)
  }
  const { RESP } = (options ?? {}) as { readonly RESP?: number }
  if (isPubSubActive === true && RESP === 2) refuseListener(where)
}

const NEEDS =
  'needs a Redis client: createClient, createSentinel or createCluster of "redis" (5 or 6), or Redis or Cluster of "ioredis" (5 or 6)'

function refuseListener(where: string): never {
  throw new TypeError(`${where} was given a client that only listens; hand over client.duplicate()`)
}
