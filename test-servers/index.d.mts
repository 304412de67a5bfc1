/** The kinds of servers that the harness can start. */
export type ServerName =
  | 'redis'
  | 'postgres'
  | 'mariadb'
  | 'nginx'
  | 'etcd'
  | 'pgbouncer'
  | 'rabbitmq'
  | 'nats'
  | 'zookeeper'

/** The kinds that one run shares; `mysql` is known by `TEST_MYSQL_URL` only. */
export type SharedName = 'redis' | 'postgres' | 'mariadb' | 'mysql' | 'rabbitmq' | 'nats'

/** Where a server comes from: `TEST_<NAME>_URL`, a program of this machine, or a private prefix. */
export type ServerSource = 'url' | 'system' | 'prefix'

/** Says that a server cannot be had here; its message names what is missing. */
export class ServerMissing extends Error {
  constructor(server: string, reason: string)
  readonly server: string
  readonly reason: string
}

/** What `which` answers. */
export interface ServerOrigin {
  readonly source: ServerSource | 'missing'
  /** The program, the URL without its password, or the reason why there is none. */
  readonly detail: string
}

/** Tells where a server would come from, without starting or fetching it. `prefix` may still have to be made. */
export function which(name: ServerName | 'mysql'): Promise<ServerOrigin>

/** A server that answers. */
export interface Endpoint {
  readonly engine: string
  /** As the server itself tells it: `7.0.15`, `15.13`, `10.11.11-MariaDB`. */
  readonly version: string
  readonly source: ServerSource
  /** With the password, if there is one. */
  readonly url: string
  readonly host: string
  readonly port: number
}

/** An instance of our own: on a free port of the loopback, its data in a temporary folder. */
export interface TestServer extends Endpoint {
  /** The server's own process; changes with a restart. `undefined` while it does not run. */
  readonly pid: number | undefined
  /** The folder of its data, configuration and log. */
  readonly folder: string
  /** Signals the server, and with SIGKILL (the default) all of its processes, and waits for the end of a fatal signal. */
  kill(signal?: 'SIGKILL' | 'SIGTERM' | 'SIGINT' | 'SIGQUIT' | 'SIGHUP'): Promise<void>
  /** SIGSTOP to all of its processes: connections stay open, nothing answers. */
  pause(): Promise<void>
  /** SIGCONT to all of its processes. */
  resume(): Promise<void>
  /** Ends it if it runs (SIGKILL, or the given signal) and starts it again on the same port and data. */
  restart(signal?: 'SIGKILL' | 'SIGTERM' | 'SIGINT' | 'SIGQUIT'): Promise<void>
  /** Ends it and removes its folder. May be called twice. */
  stop(): Promise<void>
  /** What it wrote to its output and log so far. */
  log(): Promise<string>
  [Symbol.asyncDispose](): Promise<void>
}

// ── Redis ────────────────────────────────────────────────────────────────────────────────────────────────────────

export interface RedisOptions {
  /** Lines of the configuration, for example `{ 'maxmemory-policy': 'allkeys-lru' }`. */
  readonly config?: Readonly<Record<string, string>>
  readonly password?: string
  /** `aof` is fsynced always, `aof-everysec` as its name says, `rdb` saves on SIGTERM only. Default `none`. */
  readonly persistence?: 'none' | 'aof' | 'aof-everysec' | 'rdb'
  /** Runs the server inside this folder, which stays with its data (a small file system, for example). */
  readonly dataFolder?: string
  readonly env?: Readonly<Record<string, string>>
}

export interface RedisEndpoint extends Endpoint {
  /** Sends one command on a connection of its own: `command('SCRIPT', 'FLUSH')`. Error replies reject. */
  command(...parts: readonly string[]): Promise<unknown>
}

export interface RedisServer extends TestServer, RedisEndpoint {}

export function startRedis(options?: RedisOptions): Promise<RedisServer>

/** A replica of `primary`, in sync when this answers. */
export function startRedisReplica(primary: RedisServer, options?: RedisOptions): Promise<RedisServer>

export interface RedisCluster {
  readonly version: string
  readonly source: ServerSource
  readonly nodes: readonly RedisServer[]
  readonly urls: readonly string[]
  /** The node that serves a key, by its slot at this moment. */
  nodeOf(key: string): Promise<RedisServer>
  /** Moves one slot to another node, key by key; between start and end clients see ASK, afterwards MOVED. */
  moveSlot(slot: number, to: RedisServer): Promise<void>
  /** Only begins the move (MIGRATING and IMPORTING); `finish` ends it. */
  beginSlotMove(slot: number, to: RedisServer): Promise<{ finish(): Promise<void> }>
  slotOf(key: string): number
  stop(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** A cluster whose slots are all served when this answers. Default 3 nodes without replicas. */
export function startRedisCluster(options?: {
  readonly nodes?: number
  readonly config?: Readonly<Record<string, string>>
  readonly password?: string
}): Promise<RedisCluster>

export interface RedisSentinel {
  readonly version: string
  readonly source: ServerSource
  /** The name of the watched primary: `onceward`. */
  readonly name: string
  readonly sentinels: readonly RedisServer[]
  /** `redis+sentinel://host:port,host:port/onceward`. */
  readonly url: string
  /** The data nodes, the first primary first. */
  readonly nodes: readonly RedisServer[]
  /** The node that Sentinel names as primary now. */
  primary(): Promise<RedisServer>
  replicas(): Promise<readonly RedisServer[]>
  /**
   * `SENTINEL FAILOVER`; answers the new primary once Sentinel is done. The old one believes for about a second more
   * that it is primary (elsewhere for ten); see `settle`.
   */
  failover(): Promise<RedisServer>
  /**
   * Waits until Sentinel has replaced the primary `old`, e.g. after `old.kill()`: it is taken for dead after half a second
   * then, while any other time a primary that does not answer is after ten.
   */
  failedOver(old: RedisServer): Promise<RedisServer>
  /** Makes every other running node a replica now, as Sentinel would by and by, and waits until all are in sync. */
  settle(): Promise<void>
  stop(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** A primary, its replicas (default 1) and sentinels (default 1, quorum 1; down after 500 ms). */
export function startRedisSentinel(options?: {
  readonly replicas?: number
  readonly sentinels?: number
  readonly config?: Readonly<Record<string, string>>
  readonly password?: string
}): Promise<RedisSentinel>

// ── SQL ──────────────────────────────────────────────────────────────────────────────────────────────────────────

export interface TestDatabase {
  readonly name: string
  readonly url: string
  /** Ends its sessions and drops it. */
  drop(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

export interface SqlEndpoint extends Endpoint {
  /** Creates an empty database (default: with a fresh random name) of this server. */
  createDatabase(name?: string): Promise<TestDatabase>
  /** Runs one statement as superuser, in the server's own default database or the one named. */
  query(sql: string, parameters?: readonly unknown[], database?: string): Promise<Record<string, unknown>[]>
}

export interface SqlServer extends TestServer, SqlEndpoint {}

export interface PostgresOptions {
  /** `{ default_transaction_isolation: 'serializable' }`. Default: without fsync, for speed. */
  readonly settings?: Readonly<Record<string, string>>
  /** Keeps the server's own durability (fsync, synchronous_commit, full_page_writes). Default false. */
  readonly durable?: boolean
  /** The superuser's; asked for by scram-sha-256. Default: trust, without a password. */
  readonly password?: string
  readonly dataFolder?: string
  readonly env?: Readonly<Record<string, string>>
}

export interface PostgresServer extends SqlServer {
  /** A streaming replica that has caught up when this answers. The same durability as its primary. */
  createReplica(options?: { readonly settings?: Readonly<Record<string, string>> }): Promise<PostgresReplica>
}

export interface PostgresReplica extends PostgresServer {
  /** Answers once it accepts writes. */
  promote(): Promise<void>
  /** Stops receiving too (the WAL receiver), so that what the primary commits from now on is lost by a promotion. */
  disconnect(): Promise<void>
  /** Receives again and waits until it has caught up. */
  reconnect(): Promise<void>
  pauseReplay(): Promise<void>
  resumeReplay(): Promise<void>
  /** Waits until it has replayed what the primary has written by now. */
  caughtUp(): Promise<void>
}

/** The URL is the superuser's (`postgres`). */
export function startPostgres(options?: PostgresOptions): Promise<PostgresServer>

export interface MariadbOptions {
  /** `{ innodb_lock_wait_timeout: '1' }`, as options of the server. */
  readonly settings?: Readonly<Record<string, string>>
  /** Keeps `innodb_flush_log_at_trx_commit=1` and the doublewrite. Default false. */
  readonly durable?: boolean
  readonly dataFolder?: string
  readonly env?: Readonly<Record<string, string>>
}

/** The URL (`mysql://`) is of a user with all privileges and a password. */
export function startMariadb(options?: MariadbOptions): Promise<SqlServer>

// ── Brokers ──────────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * One RabbitMQ node without plugins; it takes 5 to 10 s to start. The URL (`amqp://`) is of `guest`, who may do everything in
 * the virtual host `/`. `config` are lines of its configuration: `{ consumer_timeout: '60000' }`. What it has confirmed of
 * persistent messages in durable queues survives its SIGKILL, once the queue is written down: see `declared`.
 */
export function startRabbitmq(options?: {
  readonly config?: Readonly<Record<string, string>>
}): Promise<RabbitmqServer>

export interface RabbitmqServer extends TestServer {
  /**
   * Waits until these durable queues and exchanges survive a SIGKILL. RabbitMQ itself answers a declaration a little
   * earlier, and can lose a queue with all that is in it. Needs no waiting for `kill('SIGTERM')`. Throws after 30 s.
   */
  declared(...names: readonly string[]): Promise<void>
}

/** NATS with JetStream, whose streams in files survive a SIGKILL. The URL is `nats://host:port`. */
export function startNats(options?: { readonly flags?: readonly string[] }): Promise<TestServer>

// ── Others ───────────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * `config` is the whole file: `events {} http { server { listen 127.0.0.1:${port}; … } }`. What keeps nginx in its folder
 * is added to it, and its access log is off.
 */
export function startNginx(options: { readonly config: (port: number) => string }): Promise<TestServer>

/** The URL is that of the JSON gateway. */
export function startEtcd(options?: { readonly flags?: readonly string[] }): Promise<TestServer>

/**
 * One ZooKeeper, run by the Java of this machine; no run requires it. The URL is `host:port`. Lines of its configuration
 * can be given: by default a tick takes 200 ms, so that a session lapses 400 ms after its last sign of life at the earliest.
 */
export function startZookeeper(options?: {
  readonly settings?: Readonly<Record<string, string>>
}): Promise<TestServer>

/** A pooler before one database: `url` is `upstream` with the pooler's host and port. */
export function startPgbouncer(options: {
  readonly upstream: string
  /** Default `transaction`. */
  readonly poolMode?: 'transaction' | 'session' | 'statement'
  readonly settings?: Readonly<Record<string, string>>
}): Promise<TestServer>

// ── One instance per run ─────────────────────────────────────────────────────────────────────────────────────────

/**
 * The Redis that all test files of one vitest run share (elsewhere: all callers in one process), or that of
 * `TEST_REDIS_URL`. Keep to a key prefix of your own, and do not flush, kill or reconfigure it.
 */
export function sharedRedis(): Promise<RedisEndpoint>
/** As {@link sharedRedis}; call `createDatabase()` and stay inside. */
export function sharedPostgres(): Promise<SqlEndpoint>
/** As {@link sharedPostgres}. */
export function sharedMariadb(): Promise<SqlEndpoint>
/** Only with `TEST_MYSQL_URL`. */
export function sharedMysql(): Promise<SqlEndpoint>
/** As {@link sharedRedis}: give queues and exchanges names of your own, and delete them at the end. */
export function sharedRabbitmq(): Promise<Endpoint>
/** As {@link sharedRedis}: give streams and subjects names of your own, and delete them at the end. */
export function sharedNats(): Promise<Endpoint>

export interface SharedServers {
  readonly redis: RedisEndpoint
  readonly postgres: SqlEndpoint
  readonly mariadb: SqlEndpoint
  readonly mysql: SqlEndpoint
  readonly rabbitmq: Endpoint
  readonly nats: Endpoint
}

/**
 * A vitest `describe` that needs shared servers. Where one cannot be had the suite is skipped with its reason in the
 * title, or fails under `--require-all`. Await it at the top of the file:
 *
 * `await describeWith('redis', 'a store on Redis', ({ redis }) => { it(…) })`
 */
export function describeWith<Name extends SharedName>(
  names: Name | readonly Name[],
  title: string,
  suite: (servers: Pick<SharedServers, Name>) => void,
): Promise<void>

/** As {@link describeWith} for suites that start own instances: fetches the programs, starts nothing. */
export function describeWhere(
  names: ServerName | readonly ServerName[],
  title: string,
  suite: () => void,
): Promise<void>

// ── The network ──────────────────────────────────────────────────────────────────────────────────────────────────

/** A connection as the proxy sees it. */
export interface ProxiedConnection {
  /** Counts from 1. */
  readonly id: number
  readonly requestBytes: number
  readonly replyBytes: number
  /** Resets both sides. */
  cut(): void
}

/**
 * What becomes of a chunk: `pass` it on, `drop` it, `hold` it (and all that follows in this direction) until `pass()`,
 * `cut` both sides without passing it on, or pass it on and `cut-after`.
 */
export type Verdict = 'pass' | 'drop' | 'hold' | 'cut' | 'cut-after'

/** Sees each chunk as it came from the socket (not a message!). No answer means that the fault in force decides. */
export type Hook = (bytes: Buffer, connection: ProxiedConnection) => Verdict | undefined

/**
 * A TCP proxy on the loopback that can be told to misbehave. Each fault replaces the one before and concerns open and
 * new connections alike, if not said otherwise. TCP has no gaps: a connection from which bytes were dropped is cut
 * when the fault ends.
 */
export interface FaultProxy {
  readonly host: string
  readonly port: number
  /** The same URL by way of this proxy. */
  url(upstream: string): string
  /** Open connections. */
  readonly connections: number
  /** Connections accepted since the start. */
  readonly accepted: number
  /** How often the fault in force, or a hook, has dropped, held or cut something; starts at 0 with each fault. */
  readonly fired: number
  /** Resolves when `fired` has reached this number. */
  hasFired(times?: number): Promise<void>
  /** Heals: delivers what was held, in order, and forwards again. Removes the hooks too. */
  pass(): Promise<void>
  /** New connections are refused (ECONNREFUSED); open ones go on. */
  refuse(): Promise<void>
  /** As if the server was down: `refuse()` and `reset()`. */
  down(): Promise<void>
  /** Throws requests away; the server sees an idle connection. */
  dropRequests(): void
  /** Requests arrive and are carried out; their replies are thrown away. */
  dropReplies(): void
  /** Requests arrive; the connection is reset when the first bytes of a reply come, for the next `times` replies. Default 1. */
  cutOnReply(times?: number): void
  /** As `cutOnReply`, but only for requests that contain this text (`COMMIT`, a key). Other traffic passes. */
  cutOnReplyTo(text: string, times?: number): void
  /** Each chunk waits so long, in ms, in the direction(s) given. Default both. Order is kept. */
  delay(ms: number, direction?: 'requests' | 'replies' | 'both'): void
  /** Hands on pieces of at most so many bytes, one per turn of the event loop, without Nagle. */
  slice(bytes: number): void
  /** Resets (RST) every open connection, now. The fault in force stays. */
  reset(): void
  /** Open connections: the server's side is closed and the client is not told. New ones pass. */
  halfOpen(): void
  /** Accepts connections and bytes and delivers nothing, either way, until `pass()`. */
  blackHole(): void
  /** Looks at each chunk from client to server, before the fault in force. `undefined` removes it. */
  onRequest(hook: Hook | undefined): void
  /** Looks at each chunk from server to client, before the fault in force. `undefined` removes it. */
  onReply(hook: Hook | undefined): void
  /** Closes all of it. */
  stop(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

export function faultProxy(options: {
  readonly target: { readonly host: string; readonly port: number }
}): Promise<FaultProxy>

/** A port of the loopback that was free a moment ago. */
export function freePort(): Promise<number>

/** Waits until something accepts connections there. Default for at most 10_000 ms. */
export function waitForPort(
  port: number,
  options?: { readonly host?: string; readonly timeoutMs?: number },
): Promise<void>
