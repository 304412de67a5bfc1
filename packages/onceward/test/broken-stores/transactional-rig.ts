/** A transactional store over maps, synchronous or not, so that a test can break one thing of it. */
import type { OperationRecord } from '../../src/core/operation.ts'
import type { OperationStore, StoreCapabilities, TransactionalStore } from '../../src/core/store.ts'
import { transitionMethods } from '../../src/core/transition-port.ts'
import * as transitions from '../../src/core/transitions.ts'
import { createWaitingRoom } from '../../src/core/waiting-room.ts'
import { copyOf } from '../../src/stores/memory/copy-of.ts'
import type { TransactionHarness } from '../../src/testing/index.ts'

/** An open transaction: its own copy of everything, which a commit makes the one that counts. */
export interface Tx {
  records: Map<string, OperationRecord>
  rows: string[]
  open: boolean
}

export type TransactionalMemory = OperationStore & TransactionalStore<Tx>

/** One deliberate defect. */
export interface TransactionFlaw {
  readonly name: string
  readonly rule: RegExp
  /** Only of stores of this kind. */
  readonly kind?: 'sync' | 'async'
  readonly break: (sound: TransactionalMemory, committed: Tx) => Partial<TransactionalMemory>
}

/** A harness whose store has this flaw; without one it is sound. */
export function transactionalHarness(
  kind: 'sync' | 'async',
  flaw?: TransactionFlaw,
): TransactionHarness<TransactionalMemory, Tx> {
  const capabilities: StoreCapabilities = {
    durable: false,
    transactional: kind,
    push: true,
    listing: false,
    fencing: true,
  }
  return {
    capabilities,
    patienceMs: 200,
    async open() {
      let now = Date.UTC(2026, 0, 1)
      const committed: Tx = { records: new Map(), rows: [], open: false }
      const sound = transactionalMemory(capabilities, committed, () => now)
      const store = { ...sound, ...flaw?.break(sound, committed) }
      return {
        stores: [store, store],
        advance: (ms) => {
          now += ms
        },
        insert: (tx, text) => answer(kind, () => void tx.rows.push(text)),
        rows: async () => [...committed.rows],
        outside: () => ({ records: new Map(), rows: [], open: false }),
        close: () => store.close(),
      }
    },
  }
}

function transactionalMemory(
  capabilities: StoreCapabilities,
  committed: Tx,
  now: () => number,
): TransactionalMemory {
  const kind = capabilities.transactional === 'sync' ? 'sync' : 'async'
  const room = createWaitingRoom()
  let last: Promise<unknown> = Promise.resolve()
  const inTurn = <T>(act: () => T | Promise<T>): Promise<T> => {
    const mine = last.then(act)
    last = mine.catch(() => {})
    return mine
  }
  const decide = <Reply>(tx: Tx, digest: string, step: Step<Reply>): Reply => {
    const { write, reply } = step(tx.records.get(digest), now())
    if (write) tx.records.set(digest, copyOf(write))
    return copyOf(reply)
  }
  const wake = () => {
    for (const { id, state } of committed.records.values()) if (state !== 'running') room.wake(id.digest)
  }
  const commit = (tx: Tx) => {
    Object.assign(committed, { records: tx.records, rows: tx.rows })
    wake()
  }
  const begin = (): Tx => ({ records: new Map(committed.records), rows: [...committed.rows], open: true })
  return {
    capabilities,
    ...transitionMethods((digest, step) =>
      inTurn(() => {
        const reply = decide(committed, digest, step)
        wake()
        return reply
      }),
    ),
    async get(id) {
      const record = committed.records.get(id.digest)
      return record && !transitions.isExpired(record, now()) ? copyOf(record) : undefined
    },
    watch: (id, signal) => room.wait(id.digest, signal),
    close: async () => room.wakeAll(),
    transaction: (body) =>
      inTurn(async () => {
        const tx = begin()
        try {
          const value = body(tx)
          if (kind === 'sync' && value instanceof Promise) throw new TypeError('the body must be synchronous')
          const settled = await value
          commit(tx)
          return settled
        } finally {
          tx.open = false
        }
      }),
    assertInTransaction(tx) {
      if (!tx.open) throw new TypeError('no transaction is open on this handle; use transaction()')
    },
    savepoint(tx, body) {
      const before = { records: new Map(tx.records), rows: [...tx.rows] }
      const undo = (error: unknown): never => {
        Object.assign(tx, before)
        throw error
      }
      try {
        const value = body()
        return value instanceof Promise ? value.catch(undo) : value
      } catch (error) {
        return undo(error)
      }
    },
    claimIn: (tx, request) =>
      answer(kind, () => decide(tx, request.id.digest, (found, at) => transitions.claim(found, request, at))),
    completeIn: (tx, claim, outcome, retentionMs) =>
      answer(kind, () =>
        decide(tx, claim.id.digest, (found, at) =>
          transitions.complete(found, claim, outcome, retentionMs, at),
        ),
      ),
  }
}

type Step<Reply> = (found: OperationRecord | undefined, now: number) => transitions.Transition<Reply>

/** A synchronous driver answers at once, an asynchronous one a moment later. */
function answer<T>(kind: 'sync' | 'async', act: () => T): T | Promise<T> {
  return kind === 'sync' ? act() : new Promise<void>((resolve) => setImmediate(resolve)).then(act)
}
