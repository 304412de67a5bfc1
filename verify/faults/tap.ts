import type { ClaimReply, OperationRecord, OperationStore } from 'onceward'
import { monotonicMs } from './harness/event-log.ts'
import type { Noted } from './history.ts'

/** Where a tap writes. */
export type Note = (event: Noted) => void

/** The grant that was last given inside a transaction, by the transaction's handle. */
interface OpenTransaction {
  op?: string
  fence?: number
}

const CLAIMED = ['renew', 'checkpoint', 'complete', 'release', 'hold'] as const

/**
 * Wraps a store so that each of its answers is written down before anybody else learns of it.
 *
 * It stands right before the store: what a fault point loses later is in the history all the same.
 */
export function tapped<S extends OperationStore>(store: S, note: Note): S {
  const wrapped: Record<string, unknown> = {
    claim: (request: Parameters<S['claim']>[0]) =>
      timed(note, 'claim', nameOf(request.id), { owner: request.owner }, () => store.claim(request), told),
    takeTurn: (id: Parameters<S['takeTurn']>[0], turn: Parameters<S['takeTurn']>[1]) =>
      timed(note, 'takeTurn', nameOf(id), { fence: turn.fence }, () => store.takeTurn(id, turn), applied),
    resolve: (id: Parameters<S['resolve']>[0], resolution: Parameters<S['resolve']>[1]) =>
      timed(
        note,
        'resolve',
        'scope' in id ? nameOf(id as OperationRecord['id']) : id.digest,
        { fence: resolution.fence },
        () => store.resolve(id, resolution),
        ({ state }) => ({ state }),
      ),
  }
  for (const method of CLAIMED) {
    const call = store[method].bind(store) as (...args: unknown[]) => Promise<boolean>
    wrapped[method] = (claim: Parameters<S['renew']>[0], ...rest: unknown[]) => {
      const { owner, fence } = claim
      return timed(note, method, nameOf(claim.id), { owner, fence }, () => call(claim, ...rest), applied)
    }
  }
  if (isTransactional(store)) Object.assign(wrapped, tappedTransactions(store, note))
  return new Proxy(store, {
    get(target, name) {
      if (typeof name === 'string' && name in wrapped) return wrapped[name]
      const member: unknown = Reflect.get(target, name, target)
      return typeof member === 'function' ? member.bind(target) : member
    },
  })
}

/** What is wrapped of a store that joins transactions; the handle is its driver's. */
interface Transactional {
  transaction(body: (tx: object) => unknown): Promise<unknown>
  claimIn(tx: object, request: { readonly id: OperationRecord['id'] }): ClaimReply | Promise<ClaimReply>
}

function isTransactional(store: object): store is Transactional {
  return 'claimIn' in store && typeof store.claimIn === 'function'
}

function tappedTransactions(store: Transactional, note: Note): Partial<Transactional> {
  const open = new WeakMap<object, OpenTransaction>()
  const granted = (tx: object, op: string, reply: ClaimReply) => {
    if (reply.state === 'claimed') open.set(tx, { op, fence: reply.claim.fence })
    return reply
  }
  return {
    claimIn(tx, request) {
      const op = nameOf(request.id)
      const reply = store.claimIn(tx, request)
      return reply instanceof Promise ? reply.then((came) => granted(tx, op, came)) : granted(tx, op, reply)
    },
    async transaction(body) {
      const sent = monotonicMs()
      let last: OpenTransaction = {}
      const end = (committed: boolean) => {
        if (last.op === undefined) return
        const fence = last.fence === undefined ? {} : { fence: last.fence }
        note({ k: 'transaction', sent, op: last.op, ...fence, committed })
      }
      try {
        const value = await store.transaction((tx) => {
          last = {}
          open.delete(tx)
          const remember = () => {
            last = open.get(tx) ?? last
          }
          const result = body(tx)
          if (result instanceof Promise) return result.finally(remember)
          remember()
          return result
        })
        end(true)
        return value
      } catch (error) {
        end(false)
        throw error
      }
    },
  }
}

async function timed<T>(
  note: Note,
  method: string,
  op: string,
  about: { readonly owner?: string; readonly fence?: number },
  call: () => Promise<T>,
  tell: (reply: T) => Partial<Extract<Noted, { readonly k: 'store' }>>,
): Promise<T> {
  const sent = monotonicMs()
  try {
    const reply = await call()
    note({ k: 'store', sent, method, op, ...about, ...tell(reply) })
    return reply
  } catch (error) {
    note({ k: 'store', sent, method, op, ...about, error: String(error).slice(0, 200) })
    throw error
  }
}

function told(reply: ClaimReply): Partial<Extract<Noted, { readonly k: 'store' }>> {
  switch (reply.state) {
    case 'claimed':
      return { state: 'claimed', fence: reply.claim.fence, takenOver: reply.takenOver }
    case 'done':
    case 'held':
      return { state: reply.state, fence: reply.fence }
    default:
      return { state: reply.state }
  }
}

function applied(answer: boolean): { readonly applied: boolean } {
  return { applied: answer }
}

function nameOf(id: OperationRecord['id']): string {
  return `${id.scope}/${id.key}`
}
