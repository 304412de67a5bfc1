import type { Timers } from '../../core/clock.ts'
import { systemTimers } from '../../core/system.ts'
import { etcdEndpoints } from './etcd-endpoints.ts'
import type { EtcdFetch, EtcdJson } from './etcd-fetch.ts'
import { listIn, numberIn, objectIn } from './etcd-fetch.ts'
import { type EtcdCompare, type EtcdOp, place, textOf } from './etcd-ops.ts'
import { type EtcdAuth, etcdTransport } from './etcd-transport.ts'

export type { EtcdCompare, EtcdOp } from './etcd-ops.ts'

/** A key with its value. */
export interface EtcdEntry {
  readonly key: string
  readonly value: string
  readonly createRevision: number
  readonly modRevision: number
  /** Absent where the entry has none. */
  readonly lease?: string
}

/** A transaction: `steps` where all of `when` hold, else `otherwise`. */
export interface EtcdTxn {
  readonly when?: readonly EtcdCompare[]
  readonly steps: readonly EtcdOp[]
  readonly otherwise?: readonly EtcdOp[]
}

/** What a transaction did. */
export interface TxnReply {
  readonly succeeded: boolean
  readonly revision: number
  /** For each step, in order: what it has read, deleted or replaced. */
  readonly entries: readonly (readonly EtcdEntry[])[]
}

/** What is used of etcd. Each method throws an `OncewardError` with `effect: 'none'` when etcd cannot be asked. */
export interface EtcdClient {
  /** For messages: `etcd at 10.0.0.1:2379`. */
  readonly where: string
  /** @returns nothing when a lease that a step names does not exist. */
  txn(txn: EtcdTxn): Promise<TxnReply | undefined>
  /** Makes a lease. etcd may give it more seconds than asked for. */
  grant(seconds: number): Promise<string>
  /** Starts the time of a lease anew. `false` when it has ended. */
  keepAlive(lease: string): Promise<boolean>
  /** Ends a lease, and deletes what is kept by it. Fine when it has ended before. */
  revoke(lease: string): Promise<void>
  /** Whole seconds that a lease has left, rounded down; nothing when it has ended. */
  timeToLive(lease: string): Promise<number | undefined>
  /**
   * Calls `onDelete` for each batch of deletions at a key, or below a `/`, since the revision, until `signal` aborts.
   * @throws when the stream breaks, or the revision is too old.
   */
  watchDeletes(key: string, since: number, onDelete: () => void, signal: AbortSignal): Promise<void>
  /** Ends all streams. Calls that are on their way may finish. */
  close(): void
}

/** Options of {@link etcdClient}. */
export interface EtcdClientOptions {
  readonly auth?: EtcdAuth
  /** How long a call may take over all endpoints, in ms. Default 5,000. */
  readonly timeoutMs?: number
  readonly fetch?: EtcdFetch
  readonly timers?: Timers
}

/**
 * A thin client of etcd 3.4 or later, over the JSON gateway of its client URLs.
 *
 * @throws `TypeError` for what is no list of `http` or `https` URLs.
 */
export function etcdClient(
  endpoints: string | readonly string[],
  options: EtcdClientOptions = {},
): EtcdClient {
  const parsed = etcdEndpoints(endpoints)
  const auth = options.auth ?? parsed.auth
  const transport = etcdTransport({
    endpoints: parsed.urls,
    where: parsed.where,
    timeoutMs: options.timeoutMs ?? 5000,
    fetch: options.fetch ?? ((url, init) => fetch(url, init)),
    timers: options.timers ?? systemTimers,
    ...(auth ? { auth } : {}),
  })

  return {
    where: parsed.where,
    async txn({ when = [], steps, otherwise = [] }) {
      const reply = await transport.call('/v3/kv/txn', { compare: when, success: steps, failure: otherwise })
      return reply && txnReplyOf(reply)
    },
    async grant(seconds) {
      const reply = await transport.call('/v3/lease/grant', { TTL: String(seconds) })
      return String(reply?.['ID'])
    },
    async keepAlive(lease) {
      const reply = await transport.call('/v3/lease/keepalive', { ID: lease })
      return reply !== undefined && numberIn(objectIn(reply, 'result'), 'TTL') > 0
    },
    async revoke(lease) {
      await transport.call('/v3/lease/revoke', { ID: lease })
    },
    async timeToLive(lease) {
      const reply = await transport.call('/v3/lease/timetolive', { ID: lease })
      const seconds = reply ? numberIn(reply, 'TTL') : -1
      return seconds < 0 ? undefined : seconds
    },
    watchDeletes(key, since, onDelete, signal) {
      const create = { ...place(key), start_revision: String(since + 1), filters: ['NOPUT'] }
      const onMessage = (message: EtcdJson) => {
        // The revision was compacted away, or the server has ended the watch: what was missed is unknown.
        if (message['canceled'] === true) onDelete()
        else if (listIn(message, 'events').length > 0) onDelete()
      }
      return transport.stream('/v3/watch', { create_request: create }, onMessage, signal)
    },
    close: transport.close,
  }
}

function txnReplyOf(json: EtcdJson): TxnReply {
  return {
    succeeded: json['succeeded'] === true,
    revision: numberIn(objectIn(json, 'header'), 'revision'),
    entries: listIn(json, 'responses').map((response) => [
      ...listIn(objectIn(response, 'response_range'), 'kvs').map(entryOf),
      ...listIn(objectIn(response, 'response_delete_range'), 'prev_kvs').map(entryOf),
      ...replacedBy(objectIn(response, 'response_put')).map(entryOf),
    ]),
  }
}

function replacedBy(put: EtcdJson): readonly EtcdJson[] {
  return put['prev_kv'] === undefined ? [] : [objectIn(put, 'prev_kv')]
}

function entryOf(kv: EtcdJson): EtcdEntry {
  const lease = String(kv['lease'] ?? '0')
  return {
    key: textOf(kv['key']),
    value: textOf(kv['value']),
    createRevision: numberIn(kv, 'create_revision'),
    modRevision: numberIn(kv, 'mod_revision'),
    ...(lease === '0' ? {} : { lease }),
  }
}
