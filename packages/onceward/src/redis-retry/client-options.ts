import type { Finding } from '../core/store.ts'
import type { RedisClient } from '../drivers/redis/index.ts'
import {
  assertClient,
  assertUsable,
  isIoRedis,
  keyPrefixOf,
  nodeRedisKind,
} from '../drivers/redis/redis-handle.ts'

type Options = Readonly<Record<string, unknown>>

/**
 * Looks at the options of a client for what sends commands again behind the back of their caller, or keeps them back and
 * sends them late. One line for each option, as the doctor prints them; `fail` is what `safeRedis` refuses. It sends
 * nothing.
 *
 * @throws `TypeError` for what is no usable client.
 * @example
 * import { inspectClient } from 'onceward/redis-retry'
 * import { Redis } from 'ioredis'
 *
 * for (const { level, message } of inspectClient(new Redis())) console.log(level, message)
 */
export function inspectClient(client: RedisClient): readonly Finding[] {
  assertClient('inspectClient', client)
  const prefix = keyPrefix(client)
  if (!isIoRedis(client)) {
    const findings = nodeRedisFindings(client.options as Options, nodeRedisKind(client))
    return [...findings, queueTimeout(client), typeMapping(client), prefix]
  }
  const options = client.options as unknown as Options
  const findings = client.isCluster === true ? ioRedisClusterFindings(options) : ioRedisFindings(options, '')
  return [...findings, prefix]
}

/** The database that the options of a client name; nothing where there can be but one, or it is not told. */
export function databaseOf(client: RedisClient): number | undefined {
  assertUsable('safeRedis', client)
  const options = (client.options ?? {}) as Options
  if (isIoRedis(client)) return client.isCluster === true ? undefined : Number(options['db'] ?? 0)
  return nodeRedisKind(client) === 'standalone' ? Number(options['database'] ?? 0) : undefined
}

/** Refuses a client that would put something before each key: the option `prefix` is no replacement for that here. */
export function refuseKeyPrefix(who: string, client: unknown): void {
  const prefix = keyPrefixOf(client)
  if (prefix === undefined) return
  throw new TypeError(
    `${who} needs a client without keyPrefix: make one without it, and ${wholeKeys(prefix)}; the option prefix of safeRedis names only where operations are remembered`,
  )
}

function keyPrefix(client: unknown): Finding {
  const prefix = keyPrefixOf(client)
  return judged(
    'key-prefix',
    prefix === undefined,
    `keyPrefix is ${JSON.stringify(prefix)}: markers would lie elsewhere than their keys. Make a client without it, and ${wholeKeys(prefix)}.`,
    'keyPrefix is not set.',
  )
}

function wholeKeys(prefix = ''): string {
  return `write keys whole (${JSON.stringify(`${prefix}name`)})`
}

/** Refuses a client that would send again, naming each option and its mend. */
export function assertSendsOnce(client: RedisClient): void {
  const wrong = inspectClient(client).filter(({ level }) => level === 'fail')
  if (wrong.length === 0) return
  throw new TypeError(
    `safeRedis was given a client that is set up for what it must not do: ${wrong.map(({ message }) => message).join(' ')}`,
  )
}

/**
 * ioredis 5 and 6: `event_handler.js` keeps what was sent and not answered, and sends it again once it is connected
 * again, unless it gives it up on every loss (`maxRetriesPerRequest: 0`).
 */
function ioRedisFindings(options: Options, within: string): readonly Finding[] {
  const at = (name: string) => `${within}${name}`
  return [
    judged(
      'resend',
      options['autoResendUnfulfilledCommands'] === false,
      `${at('autoResendUnfulfilledCommands')} is not false: after a lost connection ioredis sends commands again that may have been executed. Set it to false.`,
      `${at('autoResendUnfulfilledCommands')} is false.`,
    ),
    judged(
      'retries',
      options['maxRetriesPerRequest'] === 0,
      `${at('maxRetriesPerRequest')} is ${shown(options['maxRetriesPerRequest'])}: ioredis keeps commands of a lost connection back and does not tell. Set it to 0.`,
      `${at('maxRetriesPerRequest')} is 0: a loss is told at once.`,
    ),
    ...(within === '' ? [offlineQueue(options), reconnects(options['retryStrategy'], 'retryStrategy')] : []),
    ...commandTimeout(options, within),
    ...reconnectOnError(options, within),
    ...(options['sentinels'] && typeof options['reconnectOnError'] !== 'function' ? [SENTINEL] : []),
  ]
}

const SENTINEL: Finding = {
  check: 'sentinel',
  level: 'warn',
  message:
    'reconnectOnError is not set: after a failover ioredis may stay with the former primary, which refuses every write. Set it to (error) => error.message.startsWith("READONLY").',
}

/** In a cluster `Connection is closed.` makes ioredis send again, after `retryDelayOnFailover` (`cluster/index.js`). */
function ioRedisClusterFindings(options: Options): readonly Finding[] {
  const nodes = (options['redisOptions'] ?? {}) as Options
  const reconnecting = typeof options['clusterNodeRetryStrategy'] === 'function'
  return [
    judged(
      'failover',
      options['retryDelayOnFailover'] === 0,
      `retryDelayOnFailover is ${shown(options['retryDelayOnFailover'])}: when a node is lost ioredis sends commands again that may have been executed. Set it to 0.`,
      'retryDelayOnFailover is 0.',
    ),
    offlineQueue(options),
    reconnects(options['clusterRetryStrategy'], 'clusterRetryStrategy'),
    {
      check: 'redirections',
      level: 'ok',
      message:
        'maxRedirections may stay: MOVED, ASK, TRYAGAIN and CLUSTERDOWN say that a command was not executed.',
    },
    // A node is connected again only with a strategy of its own; without one, what it had is rejected.
    ...(reconnecting
      ? ioRedisFindings(nodes, 'redisOptions.')
      : [...commandTimeout(nodes, 'redisOptions.'), ...reconnectOnError(nodes, 'redisOptions.')]),
  ]
}

function offlineQueue(options: Options): Finding {
  return judged(
    'offline-queue',
    options['enableOfflineQueue'] === false,
    'enableOfflineQueue is not false: ioredis sends commands later than their caller waits for them. Set it to false; safeRedis waits for the connection itself.',
    'enableOfflineQueue is false.',
  )
}

function commandTimeout(options: Options, within: string): readonly Finding[] {
  const given = options['commandTimeout']
  return [
    judged(
      'timeout',
      given === undefined,
      `${within}commandTimeout is ${shown(given)}: ioredis gives a command up that may be executed, and that cannot be told from one that was not. Leave it out and use attemptTimeoutMs.`,
      `${within}commandTimeout is not set.`,
    ),
  ]
}

function reconnectOnError(options: Options, within: string): readonly Finding[] {
  if (typeof options['reconnectOnError'] !== 'function') return []
  return [
    {
      check: 'reconnect-on-error',
      level: 'warn',
      message: `${within}reconnectOnError is a function: where it answers 2, ioredis sends a command again that was answered an error. Have it answer 1 or true.`,
    },
  ]
}

function reconnects(strategy: unknown, name: string): Finding {
  return judged(
    'reconnect',
    typeof strategy === 'function',
    `${name} is ${shown(strategy)}: the client is closed for good by the first lost connection. Leave it out, or give it a function that answers a delay.`,
    `${name} connects again.`,
  )
}

/** node-redis 5 and 6 reject what was sent when its connection is lost, and send nothing twice (`commands-queue.js`). */
function nodeRedisFindings(given: Options | undefined, kind: string | undefined): readonly Finding[] {
  const options = given ?? {}
  const own = (
    kind === 'cluster'
      ? (options['defaults'] ?? {})
      : kind === 'sentinel'
        ? (options['nodeClientOptions'] ?? {})
        : options
  ) as Options
  const socket = (own['socket'] ?? {}) as Options
  const queued = own['disableOfflineQueue'] !== true
  return [
    {
      check: 'resend',
      level: 'ok',
      message: 'node-redis sends nothing twice: what was on its way is rejected with its connection.',
    },
    {
      check: 'offline-queue',
      level: 'ok',
      message: queued
        ? 'disableOfflineQueue may stay off: what waits has never been sent, and is taken back when its time is over.'
        : 'disableOfflineQueue is on.',
    },
    judged(
      'reconnect',
      socket['reconnectStrategy'] !== false,
      'socket.reconnectStrategy is false: the client is closed for good by the first lost connection. Leave it out.',
      'socket.reconnectStrategy connects again.',
    ),
    judged(
      'queue-length',
      options['commandsQueueMaxLength'] === undefined,
      `commandsQueueMaxLength is ${shown(options['commandsQueueMaxLength'])}: beyond it commands are refused. Use maxInFlight instead.`,
      'commandsQueueMaxLength is not set.',
      'warn',
    ),
  ]
}

/** By the options the client was made with: node-redis 6 has a default of its own, which stays. */
function queueTimeout(client: object): Finding {
  const { options } = client as {
    readonly options?: { readonly commandOptions?: { readonly timeout?: unknown } }
  }
  const timeout = options?.commandOptions?.timeout
  return judged(
    'command-timeout',
    timeout === undefined,
    `commandOptions.timeout is ${shown(timeout)}: beside the deadline it gives up commands that wait to be sent. Leave it out, and use attemptTimeoutMs.`,
    'commandOptions.timeout is not set.',
  )
}

/** What a client made by `withTypeMapping` has for itself; where that cannot be read, what its options say. */
function typeMapping(client: object): Finding {
  const { _commandOptions: own, options } = client as {
    readonly _commandOptions?: { readonly typeMapping?: object }
    readonly options?: { readonly commandOptions?: { readonly typeMapping?: object } }
  }
  const mapping = (own ?? options?.commandOptions)?.typeMapping ?? {}
  return judged(
    'type-mapping',
    Reflect.ownKeys(mapping).length === 0,
    'commandOptions.typeMapping is set: reads would be answered by it, and guarded commands not. Hand over client.withTypeMapping({}); for bytes use the option replies.',
    'commandOptions.typeMapping is not set.',
  )
}

function judged(
  check: string,
  good: boolean,
  wrong: string,
  right: string,
  level: 'fail' | 'warn' = 'fail',
): Finding {
  return good ? { check, level: 'ok', message: right } : { check, level, message: wrong }
}

function shown(value: unknown): string {
  return value === undefined ? 'not set' : typeof value === 'function' ? 'a function' : String(value)
}
