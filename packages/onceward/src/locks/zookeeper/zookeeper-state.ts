import type { Clock } from '../../core/clock.ts'
import type { ForcedRelease, LockMode } from '../lock-backend.ts'
import type { ZookeeperStat } from './zookeeper-client.ts'
import { failure } from './zookeeper-errors.ts'
import { numberOf, type ZkNode, type ZkStep, type ZookeeperLink } from './zookeeper-link.ts'
import { holderIn, placeIn, type ZookeeperPaths, zookeeperPaths } from './zookeeper-paths.ts'
import type { ZookeeperWaiters } from './zookeeper-waiters.ts'

/** What the steps of {@link zookeeperLocks} share. */
export interface ZookeeperContext {
  readonly link: ZookeeperLink
  readonly prefix: string
  /** What this process has been granted, by token. */
  readonly book: Map<string, KnownHolder>
  readonly waiters: ZookeeperWaiters
  readonly clock: Clock
}

/** What is written of a holder. */
export interface HolderFacts {
  readonly mode: LockMode
  /** Of the node beside it. */
  readonly guard: string
  readonly owner: string
  readonly meta?: string
  readonly ttlMs: number
  /** Of a grant that has changed hands: what it was given first. */
  readonly fence?: number
}

/** Who holds a lock, or held it until it lapsed. */
export interface ZkHolder {
  readonly token: string
  readonly path: string
  readonly facts: HolderFacts
  readonly version: number
  readonly fence: number
  /** When it lapses, in ms on the clock of the leader. */
  readonly until: number
}

/** A holder, as this process left it. */
export interface KnownHolder extends ZkHolder {
  /** Before this moment of our monotonic clock it cannot have lapsed. */
  readonly sureUntil: number
}

/** A place; whether it lives is seen by reading it. */
export interface ZkPlace {
  readonly token: string
  readonly mode: LockMode
  readonly path: string
}

/** What there is of one lock. */
export interface ZkLock {
  /** The clock of the leader, in ms. */
  readonly now: number
  readonly holders: readonly ZkHolder[]
  readonly lapsed: readonly ZkHolder[]
  /** The first one first; some may have lapsed. */
  readonly queue: readonly ZkPlace[]
  /** Names of the guards of those who share. */
  readonly slots: readonly string[]
  readonly left: Left
}

/** What stays when nobody holds the lock. */
export interface Left {
  readonly mark?: { readonly text: string; readonly until: number }
  readonly forced: readonly ForcedRelease[]
  /** Of the node; absent where there is none. */
  readonly version?: number
}

/** Where the nodes of one lock are. */
export function pathsOf({ prefix }: ZookeeperContext, key: string): ZookeeperPaths {
  return zookeeperPaths(prefix, key)
}

/** @throws `TypeError` for a time that the session does not cover. */
export function checkTtl({ link }: ZookeeperContext, ttlMs: number): void {
  const sessionMs = link.sessionMs()
  if (ttlMs <= sessionMs) return
  throw new TypeError(
    `ttlMs (${ttlMs}) must not be longer than the session of the ZooKeeper client (${sessionMs} ms), which ends it: ` +
      'choose a shorter one, or a longer sessionTimeout of the client (the server has a limit, maxSessionTimeout)',
  )
}

/** Asks the leader for its time, by a write: reads are answered by any server, and by its own clock. */
export async function timeOf({ link, prefix }: ZookeeperContext): Promise<number> {
  for (let tried = 0; tried < 3; tried++) {
    const stat = await link.set(`${prefix}/clock`, '')
    if (typeof stat !== 'string') return numberOf(stat.mtime)
    await createRoot(link, prefix)
  }
  throw failure('STORE_UNAVAILABLE', `${link.where}: somebody removes ${prefix}; ask again`)
}

/** Creates what all locks have in common. */
export async function createRoot(link: ZookeeperLink, prefix: string): Promise<void> {
  const parts = prefix.split('/').slice(1)
  const above = parts.map((_, at) => `/${parts.slice(0, at + 1).join('/')}`)
  for (const path of [...above, `${prefix}/clock`, `${prefix}/lock`]) {
    // What exists is as good.
    await link.multi([{ create: path }])
  }
}

/** Reads everything about a lock, but not whether places live. */
export async function readLock(context: ZookeeperContext, key: string): Promise<ZkLock> {
  const { link } = context
  const paths = pathsOf(context, key)
  const [now, names = [], places = [], slots = [], node] = await Promise.all([
    timeOf(context),
    link.children(paths.lock),
    link.children(paths.queue),
    link.children(paths.shared),
    link.get(paths.lock),
  ])
  const tokens = names.flatMap((name) => holderIn(name) ?? [])
  const read = await Promise.all(tokens.map((token) => readHolder(context, paths, token)))
  const holders = read.flatMap((holder) => holder ?? []).sort((one, other) => one.fence - other.fence)
  return {
    now,
    holders: holders.filter(({ until }) => until > now),
    lapsed: holders.filter(({ until }) => until <= now),
    queue: places
      .flatMap((name) => {
        const place = placeIn(name)
        return place ? [{ ...place, path: `${paths.queue}/${name}` }] : []
      })
      .sort((one, other) => one.order - other.order),
    slots,
    left: leftIn(node),
  }
}

/** Reads one holder. */
export async function readHolder(
  { link }: ZookeeperContext,
  paths: ZookeeperPaths,
  token: string,
): Promise<ZkHolder | undefined> {
  const path = paths.holder(token)
  const node = await link.get(path)
  return node && holderOf(token, path, parsed<HolderFacts>(node, path), node.stat)
}

/** Makes a holder of what is written of it, and of what ZooKeeper knows of its node. */
export function holderOf(token: string, path: string, facts: HolderFacts, stat: ZookeeperStat): ZkHolder {
  return {
    token,
    path,
    facts,
    version: stat.version,
    fence: facts.fence ?? numberOf(stat.czxid),
    until: numberOf(stat.mtime) + facts.ttlMs,
  }
}

/** When a place is given up; nothing when it is gone. */
export async function placeEnds({ link }: ZookeeperContext, { path }: ZkPlace): Promise<number | undefined> {
  const node = await link.get(path)
  return node && numberOf(node.stat.mtime) + parsed<{ placeMs: number }>(node, path).placeMs
}

/** Reads what was left with a lock. @throws `STORE_CORRUPT` for what is not ours. */
export function leftIn(node: ZkNode | undefined): Left {
  if (!node) return { forced: [] }
  const left = node.data === '' ? { forced: [] } : parsed<Left>(node, 'a lock')
  return { ...left, version: node.stat.version }
}

/** The mark that counts. */
export function markIn({ mark }: Left, now: number): string | undefined {
  return mark && mark.until > now ? mark.text : undefined
}

/** Removes a holder, if it is still as it was read. */
export function removal({ path, version, facts }: ZkHolder): readonly ZkStep[] {
  return [{ remove: path, version }, { remove: facts.guard }]
}

/** Removes the nodes of a lock, unless somebody holds it, waits or has left something. */
export function tidying(paths: ZookeeperPaths): readonly ZkStep[] {
  return [{ remove: paths.shared }, { remove: paths.queue }, { remove: paths.lock, version: UNTOUCHED }]
}

/** Creates the nodes of a lock. A write of nothing takes the version from 0, which the client would not compare, to 1. */
export function creation(paths: ZookeeperPaths): readonly ZkStep[] {
  return [
    { create: paths.lock },
    { set: paths.lock, data: '' },
    { create: paths.shared },
    { create: paths.queue },
  ]
}

const UNTOUCHED = 1

function parsed<T extends object>({ data }: ZkNode, path: string): T {
  try {
    const value: unknown = JSON.parse(data)
    if (typeof value === 'object' && value !== null) return value as T
  } catch {
    // As below.
  }
  const mend = 'something else has written under our prefix; give the locks a prefix of their own'
  throw failure(
    'STORE_CORRUPT',
    `ZooKeeper holds a node below ${path.replace(/[^/]+$/, '…')} that is not ours: ${mend}`,
  )
}
