import { ioRedisLink } from './ioredis-link.ts'
import { nodeRedisLink } from './node-redis-link.ts'
import { assertUsable, isIoRedis } from './redis-handle.ts'
import type { RedisLink } from './redis-link.ts'

/** A client as a link, and how to wait for it. */
export interface OpenLink {
  readonly link: RedisLink
  /** Calls back once the client is ready; answers a function that forgets it. All who wait share one listener. */
  whenReady(start: () => void): () => void
}

/**
 * Recognises a client, which stays the caller's.
 *
 * @param who - Who asks, for messages about misuse: `redisStore`.
 * @throws `TypeError` for what is not a usable client.
 */
export function openLink(who: string, client: unknown): OpenLink {
  assertUsable(who, client)
  const link = isIoRedis(client) ? ioRedisLink(client) : nodeRedisLink(client)
  return { link, whenReady: readiness(link) }
}

function readiness(link: RedisLink): OpenLink['whenReady'] {
  const waiting = new Set<() => void>()
  let forget: (() => void) | undefined
  const onReady = () => {
    forget = undefined
    const all = [...waiting]
    waiting.clear()
    for (const start of all) start()
  }
  return (start) => {
    waiting.add(start)
    forget ??= link.onceReady(onReady)
    return () => {
      waiting.delete(start)
      if (waiting.size > 0) return
      forget?.()
      forget = undefined
    }
  }
}
