import type { ExtendRequest } from '../lock-backend.ts'
import { numberOf } from './zookeeper-link.ts'
import {
  checkTtl,
  type HolderFacts,
  holderOf,
  pathsOf,
  readHolder,
  removal,
  type ZkHolder,
  type ZookeeperContext,
} from './zookeeper-state.ts'

/** Moves the ends of grants: one write each, all on their way at once. */
export async function extend(
  context: ZookeeperContext,
  requests: readonly ExtendRequest[],
): Promise<readonly boolean[]> {
  // The locks went with the session; there is nobody to ask.
  if (context.link.isExpired()) return requests.map(() => false)
  return Promise.all(requests.map((request) => extendOne(context, request)))
}

/** Moves the end of one grant, whoever holds the connection that made it. */
export async function extendOne(context: ZookeeperContext, request: ExtendRequest): Promise<boolean> {
  const { link, book, clock } = context
  const { key, token, ttlMs, meta } = request
  checkTtl(context, ttlMs)
  const paths = pathsOf(context, key)
  let held: ZkHolder | undefined = book.get(token)
  for (;;) {
    held ??= await readHolder(context, paths, token)
    if (!held) break
    const facts: HolderFacts = { ...held.facts, ttlMs, ...(meta === undefined ? {} : { meta }) }
    const asked = clock.monotonic()
    const stat = await link.set(held.path, JSON.stringify(facts), held.version)
    if (stat === 'no-node') break
    if (typeof stat === 'string') {
      // Another connection has moved the end of the same grant.
      held = undefined
      continue
    }
    const extended = holderOf(token, held.path, { ...facts, fence: held.fence }, stat)
    if (numberOf(stat.mtime) >= held.until) {
      // It had lapsed before the write, which must not bring it back.
      await link.multi(removal(extended))
      break
    }
    book.set(token, { ...extended, facts, sureUntil: asked + ttlMs })
    return true
  }
  book.delete(token)
  return false
}
