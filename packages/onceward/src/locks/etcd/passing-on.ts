import { createdIs, modifiedIs, put, remove } from '../../drivers/etcd/index.ts'
import type { AcquireRequest, HeldLock, ReleaseReply, Transferred } from '../lock-backend.ts'
import { type EtcdContext, pathsOf, secondsOf } from './etcd-context.ts'
import { extendOne, holderOf } from './extend.ts'
import type { HolderFacts } from './lock-state.ts'

/** Gives up the grant or the place of a token, also one that a step on its way may still get. */
export async function release(context: EtcdContext, held: HeldLock): Promise<ReleaseReply> {
  const { etcd, book, places } = context
  const paths = pathsOf(context, held.key)
  const { token } = held
  places.gone(token)
  const reply = await etcd.txn({
    steps: [
      remove(paths.holder('exclusive', token)),
      remove(paths.holder('shared', token)),
      remove(paths.place(token)),
    ],
  })
  // After it, or the end of a lease would delete first what the answer is about.
  await book.settle(token)
  const [alone = [], shared = [], waiting = []] = reply?.entries ?? []
  const left = [...alone, ...shared]
  const known = book.held.get(token)
  book.held.delete(token)
  book.drop(new Set([...left, ...waiting].map(({ lease }) => lease).concat(known?.lease)))
  return { released: left.length > 0 }
}

/** Gives a grant to another token, with its fence. */
export async function transfer(
  context: EtcdContext,
  from: HeldLock,
  to: Pick<AcquireRequest, 'token' | 'ttlMs' | 'owner' | 'meta'>,
): Promise<Transferred | undefined> {
  const { etcd, book } = context
  const paths = pathsOf(context, from.key)
  for (;;) {
    const [given, held] = await Promise.all([
      holderOf(context, { key: from.key, token: to.token }),
      holderOf(context, from),
    ])
    const { owner, meta, ttlMs } = to
    if (given) {
      // Asked again: its time starts anew.
      const again = { key: from.key, token: to.token, ttlMs, ...(meta === undefined ? {} : { meta }) }
      return (await extendOne(context, again)) ? { mode: given.mode, fence: given.fence } : undefined
    }
    if (!held) return undefined
    const { mode, fence, fences } = held
    const seconds = secondsOf(ttlMs)
    const path = paths.holder(mode, to.token)
    const facts: HolderFacts = { owner, fences, fence, seconds, ...(meta === undefined ? {} : { meta }) }
    const lease = await etcd.grant(seconds)
    const reply = await book.during(to.token, lease, () =>
      etcd.txn({
        when: [modifiedIs(held.path, held.modRevision)],
        steps: [put(path, JSON.stringify(facts), lease), remove(held.path)],
      }),
    )
    if (reply?.succeeded) {
      book.held.delete(from.token)
      book.held.set(to.token, { path, lease, seconds, ...(meta === undefined ? {} : { meta }) })
      book.drop([held.lease])
      return { mode, fence }
    }
    book.drop([lease])
  }
}

/** Keeps a mark for the next grant, if the token holds the lock. */
export async function mark(
  context: EtcdContext,
  held: HeldLock,
  text: string,
  keepMs: number,
): Promise<boolean> {
  const { etcd, book } = context
  const paths = pathsOf(context, held.key)
  const path = book.held.get(held.token)?.path ?? (await holderOf(context, held))?.path
  if (path === undefined) return false
  const lease = await etcd.grant(secondsOf(keepMs))
  const reply = await etcd.txn({
    when: [createdIs(path, 'GREATER', 0)],
    steps: [put(paths.mark, text, lease)],
  })
  book.drop(reply?.succeeded ? (reply.entries[0] ?? []).map((old) => old.lease) : [lease])
  return reply?.succeeded === true
}
