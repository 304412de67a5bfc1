import { get, modifiedIs, put } from '../../drivers/etcd/index.ts'
import type { ExtendRequest, HeldLock } from '../lock-backend.ts'
import { type EtcdContext, pathsOf, secondsOf } from './etcd-context.ts'
import type { HeldLease } from './lease-book.ts'
import { type HeldEntry, type HolderFacts, heldEntry } from './lock-state.ts'

/** So many keep-alives are on their way at once. */
const AT_ONCE = 32

/** So many entries are looked at in one transaction; etcd takes 128 steps by default. */
const IN_ONE_TXN = 100

/**
 * Moves the ends of grants. A lease that stays as it is costs a keep-alive, which writes nothing in etcd, and its share of
 * one look at whether the entries are still there. A new time or text costs a new lease and a transaction.
 */
export async function extend(
  context: EtcdContext,
  requests: readonly ExtendRequest[],
): Promise<readonly boolean[]> {
  const known = requests.map((request) => {
    const held = context.book.held.get(request.token)
    return held && staysAsItIs(held, request) ? held : undefined
  })
  const [there, alive] = await Promise.all([
    stillThere(context, known),
    inParallel(known, async (held) => held !== undefined && context.etcd.keepAlive(held.lease)),
  ])
  return inParallel(requests, async (request, at) => {
    if (known[at] && alive[at] && there[at]) return true
    // It is lost, or another process that has the token has given it a lease of its own.
    lose(context, request.token, known[at])
    return extendOne(context, request)
  })
}

/** Moves the end of one grant, whoever has made its lease. */
export async function extendOne(context: EtcdContext, request: ExtendRequest): Promise<boolean> {
  const { etcd, book } = context
  for (;;) {
    const own = await holderOf(context, request)
    if (!own) return false
    if (staysAsItIs(own, request)) {
      if (!(await etcd.keepAlive(own.lease))) return false
      book.held.set(request.token, own)
      return true
    }
    const seconds = secondsOf(request.ttlMs)
    const meta = request.meta ?? own.meta
    const { path, owner, fences, fence } = own
    const facts: HolderFacts = { owner, fences, fence, seconds, ...(meta === undefined ? {} : { meta }) }
    const lease = await etcd.grant(seconds)
    const reply = await book.during(request.token, lease, () =>
      etcd.txn({
        when: [modifiedIs(path, own.modRevision)],
        steps: [put(path, JSON.stringify(facts), lease)],
      }),
    )
    if (reply?.succeeded) {
      book.held.set(request.token, { path, lease, seconds, ...(meta === undefined ? {} : { meta }) })
      book.drop([own.lease])
      return true
    }
    book.drop([lease])
  }
}

/** What a token holds. */
export async function holderOf(
  context: EtcdContext,
  { key, token }: HeldLock,
): Promise<HeldEntry | undefined> {
  const paths = pathsOf(context, key)
  const reply = await context.etcd.txn({
    steps: [get(paths.holder('exclusive', token)), get(paths.holder('shared', token))],
  })
  const [entry] = reply?.entries.flat() ?? []
  return entry && heldEntry(context.etcd.where, paths, entry)
}

function staysAsItIs(held: Pick<HeldLease, 'seconds' | 'meta'>, { ttlMs, meta }: ExtendRequest): boolean {
  return held.seconds === secondsOf(ttlMs) && (meta === undefined || meta === held.meta)
}

/** Which of the entries are there and go with their leases. */
async function stillThere(
  { etcd }: EtcdContext,
  leases: readonly (HeldLease | undefined)[],
): Promise<readonly boolean[]> {
  const chunks: (readonly (HeldLease | undefined)[])[] = []
  for (let at = 0; at < leases.length; at += IN_ONE_TXN) chunks.push(leases.slice(at, at + IN_ONE_TXN))
  const looked = await inParallel(chunks, async (chunk) => {
    const asked = chunk.filter((held) => held !== undefined)
    if (asked.length === 0) return chunk.map(() => false)
    const reply = await etcd.txn({ steps: asked.map(({ path }) => get(path)) })
    const kept = new Set(reply?.entries.flat().map(({ key, lease }) => `${key} ${lease}`))
    return chunk.map((held) => held !== undefined && kept.has(`${held.path} ${held.lease}`))
  })
  return looked.flat()
}

function lose({ book }: EtcdContext, token: string, held: HeldLease | undefined): void {
  if (!held || book.held.get(token) !== held) return
  book.held.delete(token)
  book.drop([held.lease])
}

/** Runs `work` for all, some at a time. After a failure nothing new is begun. */
async function inParallel<T, R>(
  items: readonly T[],
  work: (item: T, at: number) => Promise<R>,
): Promise<readonly R[]> {
  const results: R[] = new Array(items.length)
  let next = 0
  let failed = false
  const worker = async () => {
    while (next < items.length && !failed) {
      const at = next++
      try {
        results[at] = await work(items[at] as T, at)
      } catch (error) {
        failed = true
        throw error
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, items.length) }, worker))
  return results
}
