import type { HeldLock } from '../lock-backend.ts'
import type { ZookeeperEvent } from './zookeeper-client.ts'
import type { ZookeeperLink } from './zookeeper-link.ts'

/** Watches what stands in the way of each place. */
export interface ZookeeperWaiters {
  /** Whether the token was told by this process to have a place. */
  has(token: string): boolean
  /** Tells that a place was not granted, and what stands in the way. `look` tells what does so later. */
  blocked(token: string, obstacle: Obstacle, look: Look): void
  /** Tells that the token waits no more. */
  gone(token: string): void
  listen(held: HeldLock, wake: () => void): () => void
  close(): void
}

/** What is in the way: a node, or any child of one. `last`: nothing else is. */
export type Obstacle = { readonly node: string; readonly last: boolean } | { readonly anyOf: string }

/** Finds out what is in the way now; nothing when it may be the turn. */
export type Look = () => Promise<Obstacle | undefined>

/** `NODE_DATA_CHANGED` of ZooKeeper: a place or a holder has got more time. */
const DATA_CHANGED = 3

interface Waiter {
  readonly obstacle: Obstacle
  readonly look: Look
  /** Of this obstacle; watches cannot be taken back, so what an old one tells is dropped. */
  watched: boolean
}

/**
 * Makes the watches of one client. Limit: ZooKeeper tells of each watch once and cannot take it back, so one that nobody
 * needs any more stays at the server until its node changes or the session ends.
 */
export function zookeeperWaiters(link: ZookeeperLink): ZookeeperWaiters {
  const waiters = new Map<string, Waiter>()
  const listeners = new Map<string, Set<() => void>>()

  function wake(token: string): void {
    for (const call of listeners.get(token) ?? []) call()
  }

  function follow(token: string): void {
    const waiter = waiters.get(token)
    if (!waiter || waiter.watched || !listeners.has(token)) return
    waiter.watched = true
    const { obstacle, look } = waiter
    const current = () => waiters.get(token) === waiter
    const moved = () => {
      if (!current()) return
      waiter.watched = false
      if ('last' in obstacle && obstacle.last) return wake(token)
      look().then(
        (next) => {
          if (!current()) return
          if (next) set(token, next, look)
          else wake(token)
        },
        () => wake(token),
      )
    }
    const onEvent = (event: ZookeeperEvent) => {
      if ('node' in obstacle && event.getType() === DATA_CHANGED) watch()
      else moved()
    }
    const watch = () => {
      const asked =
        'node' in obstacle
          ? link.watch(obstacle.node, onEvent)
          : link.children(obstacle.anyOf, onEvent).then((children) => (children?.length ?? 0) > 0)
      asked.then(
        (there) => (there ? undefined : moved()),
        () => {
          // Whoever waits asks again now and then, and that begins a new watch.
          waiter.watched = false
        },
      )
    }
    watch()
  }

  function set(token: string, obstacle: Obstacle, look: Look): void {
    const known = waiters.get(token)
    if (known?.watched && same(known.obstacle, obstacle)) return
    waiters.set(token, { obstacle, look, watched: false })
    follow(token)
  }

  return {
    has: (token) => waiters.has(token),
    blocked: set,
    gone: (token) => void waiters.delete(token),
    listen({ token }, call) {
      const told = listeners.get(token) ?? new Set()
      listeners.set(token, told.add(call))
      follow(token)
      return () => {
        told.delete(call)
        if (told.size === 0 && listeners.get(token) === told) listeners.delete(token)
      }
    },
    close() {
      waiters.clear()
      listeners.clear()
    },
  }
}

function same(one: Obstacle, other: Obstacle): boolean {
  return JSON.stringify(one) === JSON.stringify(other)
}
