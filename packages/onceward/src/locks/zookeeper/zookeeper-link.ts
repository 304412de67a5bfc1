import type { Timers } from '../../core/clock.ts'
import type {
  Failed,
  ZookeeperClient,
  ZookeeperEvent,
  ZookeeperResult,
  ZookeeperStat,
} from './zookeeper-client.ts'
import { expired, failure, type Unmet, unmetBy, zookeeperFailure } from './zookeeper-errors.ts'

/** A step of a transaction. */
export type ZkStep =
  | { readonly create: string; readonly data?: string; readonly mode?: CreateMode }
  | { readonly set: string; readonly data: string; readonly version?: number }
  | { readonly remove: string; readonly version?: number }
  | { readonly check: string }

type CreateMode = 'ephemeral' | 'ephemeral-sequential'

/** The numbers of the protocol (`CreateMode` of ZooKeeper). */
const MODES = { persistent: 0, ephemeral: 1, 'ephemeral-sequential': 3 } as const

/** What a transaction did: its results in order, or the condition that did not hold. */
export type MultiReply = readonly ZookeeperResult[] | Unmet

/** A node with what it holds. */
export interface ZkNode {
  readonly data: string
  readonly stat: ZookeeperStat
}

/** A client as promises. Each call ends within its time, and throws an error of ours. */
export interface ZookeeperLink {
  readonly where: string
  readonly isExpired: () => boolean
  readonly sessionMs: () => number
  multi(steps: readonly ZkStep[]): Promise<MultiReply>
  /** @returns nothing for a node that does not exist. */
  get(path: string): Promise<ZkNode | undefined>
  set(path: string, data: string, version?: number): Promise<ZookeeperStat | Unmet>
  /** @returns whether it exists; the watcher is told of the next change. */
  watch(path: string, watcher: (event: ZookeeperEvent) => void): Promise<boolean>
  /** @returns nothing for a node that does not exist. */
  children(path: string, watcher?: (event: ZookeeperEvent) => void): Promise<readonly string[] | undefined>
  close(): void
}

/** Any version: the client takes 0 for it too, so nothing that is compared may be at 0. */
const ANY = -1

/**
 * Wraps a client, which stays the caller's.
 *
 * The client sends in order and the server answers in order, so what a call that took too long still does, it does before
 * whatever is called later.
 */
export function zookeeperLink(
  client: ZookeeperClient,
  options: { readonly timeoutMs: number; readonly timers: Timers; readonly acls?: readonly unknown[] },
): ZookeeperLink {
  const { timeoutMs, timers, acls } = options
  const where = 'ZooKeeper'
  let isExpired = false
  let closed = false
  const onExpired = () => {
    isExpired = true
  }
  client.on('expired', onExpired)

  function call<T>(send: (done: (error: Failed, value: T) => void) => void): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (closed) return reject(failure('CLOSED', 'these locks were closed; make new ones'))
      if (isExpired) return reject(expired(where))
      const cancel = timers.after(timeoutMs, () => {
        const mend = 'check that the client is connected and a quorum is up'
        reject(failure('STORE_UNAVAILABLE', `${where} did not answer within ${timeoutMs} ms; ${mend}`))
      })
      try {
        send((error, value) => {
          cancel()
          if (error) reject(isExpired ? expired(where, error) : error)
          else resolve(value)
        })
      } catch (error) {
        cancel()
        reject(error)
      }
    })
  }

  /** Tells a condition that does not hold from a failure. */
  async function unless<T, U>(asked: Promise<T>, told: (unmet: Unmet) => U): Promise<T | U> {
    try {
      return await asked
    } catch (error) {
      const unmet = unmetBy(error)
      if (unmet === undefined) throw zookeeperFailure(error, where)
      return told(unmet)
    }
  }

  function send(step: ZkStep, into: ReturnType<ZookeeperClient['transaction']>): void {
    if ('create' in step) {
      into.create(step.create, bytes(step.data), acls, MODES[step.mode ?? 'persistent'])
    } else if ('set' in step) into.setData(step.set, bytes(step.data), step.version ?? ANY)
    else if ('remove' in step) into.remove(step.remove, step.version ?? ANY)
    else into.check(step.check, ANY)
  }

  return {
    where,
    isExpired: () => isExpired,
    sessionMs: () => client.getSessionTimeout(),
    multi: (steps) =>
      unless<readonly ZookeeperResult[], Unmet>(
        call((done) => {
          const transaction = client.transaction()
          for (const step of steps) send(step, transaction)
          transaction.commit((error, results) => done(error, results ?? []))
        }),
        (unmet) => unmet,
      ),
    get: (path) =>
      unless(
        call<ZkNode>((done) =>
          client.getData(path, (error, data, stat) =>
            done(error, { data: data?.toString('utf8') ?? '', stat }),
          ),
        ),
        () => undefined,
      ),
    set: (path, data, version = ANY) =>
      unless<ZookeeperStat, Unmet>(
        call((done) => client.setData(path, bytes(data), version, done)),
        (unmet) => unmet,
      ),
    watch: (path, watcher) =>
      unless(
        call<boolean>((done) => client.exists(path, watcher, (error, stat) => done(error, Boolean(stat)))),
        () => false,
      ),
    children: (path, watcher) =>
      unless(
        call<readonly string[]>((done) =>
          watcher ? client.getChildren(path, watcher, done) : client.getChildren(path, done),
        ),
        () => undefined,
      ),
    close() {
      closed = true
      client.removeListener('expired', onExpired)
    },
  }
}

/** A 64-bit number of the protocol. @throws `STORE_MISCONFIGURED` for one that a number cannot hold. */
export function numberOf(bytes8: Buffer): number {
  const value = bytes8.readBigInt64BE(0)
  if (value >= 0n && value <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(value)
  const mend = 'the ensemble has elected a leader more than two million times; give the locks a new one'
  throw failure('STORE_MISCONFIGURED', `a transaction id of ZooKeeper is beyond 2^53: ${mend}`)
}

/** Whether the transaction was carried out. */
export function done(reply: MultiReply): reply is readonly ZookeeperResult[] {
  return typeof reply !== 'string'
}

function bytes(text = ''): Buffer {
  return Buffer.from(text, 'utf8')
}
