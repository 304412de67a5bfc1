import type { AcquireRequest, HeldLock, ReleaseReply, Transferred } from '../lock-backend.ts'
import { extendOne } from './zookeeper-extend.ts'
import { done } from './zookeeper-link.ts'
import {
  checkTtl,
  type HolderFacts,
  holderOf,
  type Left,
  leftIn,
  pathsOf,
  readHolder,
  readLock,
  removal,
  tidying,
  timeOf,
  type ZookeeperContext,
} from './zookeeper-state.ts'

/** Gives up the grant or the place of a token. */
export async function release(context: ZookeeperContext, { key, token }: HeldLock): Promise<ReleaseReply> {
  const { link, book, waiters, clock } = context
  const paths = pathsOf(context, key)
  const known = book.get(token)
  waiters.gone(token)
  if (known && clock.monotonic() < known.sureUntil) {
    const own = [{ remove: known.path }, { remove: known.facts.guard }]
    // Sent together: with the nodes of the lock, if nobody needs them, or without.
    const replies = await Promise.all([link.multi([...own, ...tidying(paths)]), link.multi(own)])
    book.delete(token)
    if (replies.some(done)) return { released: true }
  }
  const [lock, held] = await Promise.all([readLock(context, key), readHolder(context, paths, token)])
  const reply = held ? await link.multi([{ remove: held.path }, { remove: held.facts.guard }]) : 'no-node'
  for (const place of lock.queue) if (place.token === token) await link.multi([{ remove: place.path }])
  book.delete(token)
  await link.multi(tidying(paths))
  return { released: done(reply) && held !== undefined && held.until > lock.now }
}

/** Gives a grant to another token, of this session, with its fence. */
export async function transfer(
  context: ZookeeperContext,
  from: HeldLock,
  to: Pick<AcquireRequest, 'token' | 'ttlMs' | 'owner' | 'meta'>,
): Promise<Transferred | undefined> {
  const { link, book, clock } = context
  const { token, ttlMs, owner, meta } = to
  checkTtl(context, ttlMs)
  const paths = pathsOf(context, from.key)
  for (;;) {
    const [now, given, held] = await Promise.all([
      timeOf(context),
      readHolder(context, paths, token),
      readHolder(context, paths, from.token),
    ])
    if (given && given.until > now) {
      // Asked again: its time starts anew.
      const again = { key: from.key, token, ttlMs, ...(meta === undefined ? {} : { meta }) }
      if (!(await extendOne(context, again))) continue
      return { mode: given.facts.mode, fence: given.fence }
    }
    if (!held || held.until <= now) return undefined
    const { mode, guard } = held.facts
    const path = paths.holder(token)
    const ownGuard = guard.includes('/r-') ? paths.guard({ mode, permits: Infinity, token }, 0) : guard
    const facts: HolderFacts = {
      mode,
      guard: ownGuard,
      owner,
      ttlMs,
      fence: held.fence,
      ...(meta === undefined ? {} : { meta }),
    }
    const asked = clock.monotonic()
    const reply = await link.multi([
      ...removal(held),
      { create: path, mode: 'ephemeral' },
      { set: path, data: JSON.stringify(facts) },
      { create: ownGuard, mode: 'ephemeral' },
    ])
    const stat = done(reply) ? reply[3]?.stat : undefined
    if (!stat) continue
    book.delete(from.token)
    book.set(token, { ...holderOf(token, path, facts, stat), sureUntil: asked + ttlMs })
    return { mode, fence: held.fence }
  }
}

/** Keeps a mark for the next grant, if the token holds the lock. */
export async function mark(
  context: ZookeeperContext,
  { key, token }: HeldLock,
  text: string,
  keepMs: number,
): Promise<boolean> {
  const { link } = context
  const paths = pathsOf(context, key)
  for (;;) {
    const [now, held, node] = await Promise.all([
      timeOf(context),
      readHolder(context, paths, token),
      link.get(paths.lock),
    ])
    const { version, forced } = leftIn(node)
    if (!held || held.until <= now || version === undefined) return false
    const left: Left = { forced, mark: { text, until: now + keepMs } }
    const reply = await link.multi([
      { check: held.path },
      { set: paths.lock, data: JSON.stringify(left), version },
    ])
    if (done(reply)) return true
  }
}
