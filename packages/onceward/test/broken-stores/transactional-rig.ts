/** A transactional store over maps, synchronous or not, so that a test can break one thing of it. */
import { AsyncLocalStorage } from 'node:async_hooks'
import { OncewardError } from '../../src/core/errors.ts'
import type { OperationRecord } from '../../src/core/operation.ts'
import type { OperationStore, StoreCapabilities, TransactionalStore } from '../../src/core/store.ts'
import { transitionMethods } from '../../src/core/transition-port.ts'
import * as transitions from '../../src/core/transitions.ts'
import { createWaitingRoom } from '../../src/core/waiting-room.ts'
import { copyOf } from '../../src/stores/memory/copy-of.ts'
import type { TransactionHarness } from '../../src/testing/index.ts'

/** An open transaction: its own copy of everything; what differs from the copy is written by the commit. */
export interface Tx {
  records: Map<string, OperationRecord>
  rows: string[]
  open: boolean
  /** A statement has failed: nothing more is accepted. */
  aborted: boolean
  /** What was committed when it began. */
  base: { readonly records: ReadonlyMap<string, OperationRecord>; readonly rows: number }
  /** Rejects when the connection breaks. */
  broken: Promise<never>
  break: () => void
}

export type TransactionalMemory = OperationStore & TransactionalStore<Tx>

/** The parts that a defect may put together in its own way. */
export interface Parts {
  readonly committed: Tx
  begin(): Tx
  commit(tx: Tx): void
  /** Savepoints that know nothing of each other. */
  plainSavepoint: TransactionalMemory['savepoint']
  /** A claim that believes what the transaction saw when it began. */
  blindClaim: TransactionalMemory['claimIn']
}

/** One deliberate defect. */
export interface TransactionFlaw {
  readonly name: string
  readonly rule: RegExp
  /** Only of stores of this kind. */
  readonly kind?: 'sync' | 'async'
  readonly break: (sound: TransactionalMemory, parts: Parts) => Partial<TransactionalMemory>
}

/** How often a body is run at most. */
const TRIES = 3

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
    abilities: ['kill', 'endByHand', 'fail', 'begin', 'conflict'],
    async open() {
      let now = Date.UTC(2026, 0, 1)
      const { sound, parts } = transactionalMemory(capabilities, () => now)
      const store = { ...sound, ...flaw?.break(sound, parts) }
      const { committed, begin, commit } = parts
      return {
        stores: [store, store],
        advance: (ms) => {
          now += ms
        },
        insert: (tx, text) =>
          answer(kind, () => {
            assertUsable(tx)
            tx.rows.push(text)
          }),
        rows: async () => [...committed.rows],
        outside: () => ({ ...begin(), open: false }),
        kill: async (tx) => tx.break(),
        endByHand: (tx, how) =>
          answer(kind, () => {
            if (how === 'COMMIT') commit(tx)
            tx.open = false
          }),
        fail: async (tx) => {
          tx.aborted = true
          throw new Error('syntax error')
        },
        begin: async () => {
          const tx = begin()
          const end = (act: () => void) => async () => {
            if (tx.open) act()
            tx.open = false
          }
          return { tx, commit: end(() => commit(tx)), rollback: end(() => {}) }
        },
        conflict: () => Object.assign(new Error('deadlock'), { code: 'DEADLOCK' }),
        close: () => store.close(),
      }
    },
  }
}

function transactionalMemory(
  capabilities: StoreCapabilities,
  now: () => number,
): { readonly sound: TransactionalMemory; readonly parts: Parts } {
  const kind = capabilities.transactional === 'sync' ? 'sync' : 'async'
  const room = createWaitingRoom()
  const committed = newTx(new Map(), [])
  let last: Promise<unknown> = Promise.resolve()
  const inTurn = <T>(act: () => T | Promise<T>): Promise<T> => {
    const mine = last.then(act)
    last = mine.catch(() => {})
    return mine
  }
  const decide = <Reply>(tx: Tx, digest: string, step: Step<Reply>): Reply => {
    assertUsable(tx)
    const { write, reply } = step(tx.records.get(digest), now())
    if (write) tx.records.set(digest, copyOf(write))
    return copyOf(reply)
  }
  const wake = () => {
    for (const { id, state } of committed.records.values()) if (state !== 'running') room.wake(id.digest)
  }
  const commit = (tx: Tx) => {
    for (const [digest, record] of tx.records) {
      if (tx.base.records.get(digest) !== record) committed.records.set(digest, record)
    }
    committed.rows.push(...tx.rows.slice(tx.base.rows))
    wake()
  }
  const begin = (): Tx => newTx(committed.records, committed.rows)
  const { queued, plain } = savepoints()
  const blindClaim: TransactionalMemory['claimIn'] = (tx, request) =>
    answer(kind, () => decide(tx, request.id.digest, (found, at) => transitions.claim(found, request, at)))

  const once = <T>(body: (tx: Tx) => T | Promise<T>): Promise<T> =>
    inTurn(async () => {
      const tx = begin()
      try {
        const value = body(tx)
        if (kind === 'sync' && value instanceof Promise) throw new TypeError('the body must be synchronous')
        const settled = await Promise.race([value, tx.broken])
        if (!tx.open) throw new TypeError('the body has ended its transaction')
        commit(tx)
        return settled
      } finally {
        tx.open = false
      }
    })

  const sound: TransactionalMemory = {
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
    async transaction(body) {
      for (let tries = 1; ; tries++) {
        try {
          return await once(body)
        } catch (error) {
          if (!isConflict(error)) throw error
          if (tries === TRIES) throw unavailable('there was a conflict every time', error)
        }
      }
    },
    assertInTransaction,
    savepoint: (tx, body) => {
      assertInTransaction(tx)
      return kind === 'sync' ? plain(tx, body) : queued(tx, body)
    },
    claimIn: (tx, request) => {
      const { digest } = request.id
      if (committed.records.get(digest) === tx.base.records.get(digest)) return blindClaim(tx, request)
      throw unavailable('the record has changed since this transaction began')
    },
    completeIn: (tx, claim, outcome, retentionMs) =>
      answer(kind, () =>
        decide(tx, claim.id.digest, (found, at) =>
          transitions.complete(found, claim, outcome, retentionMs, at),
        ),
      ),
  }
  return { sound, parts: { committed, begin, commit, plainSavepoint: plain, blindClaim } }
}

type Step<Reply> = (found: OperationRecord | undefined, now: number) => transitions.Transition<Reply>

function newTx(records: ReadonlyMap<string, OperationRecord>, rows: readonly string[]): Tx {
  let reject: (error: unknown) => void = () => {}
  const broken = new Promise<never>((_, no) => {
    reject = no
  })
  broken.catch(() => {})
  const tx: Tx = {
    records: new Map(records),
    rows: [...rows],
    open: true,
    aborted: false,
    base: { records: new Map(records), rows: rows.length },
    broken,
    break: () => {
      tx.aborted = true
      reject(unavailable('the connection broke'))
    },
  }
  return tx
}

/** Savepoints that restore a copy; the queued ones of one transaction wait for each other, if they are not nested. */
function savepoints() {
  const inside = new AsyncLocalStorage<Tx>()
  const lasts = new WeakMap<Tx, Promise<unknown>>()
  const plain: TransactionalMemory['savepoint'] = (tx, body) => {
    const { aborted } = tx
    const before = { records: new Map(tx.records), rows: [...tx.rows], aborted }
    const undo = (error: unknown): never => {
      Object.assign(tx, before)
      throw error
    }
    try {
      const value = inside.run(tx, body)
      return value instanceof Promise ? value.catch(undo) : value
    } catch (error) {
      return undo(error)
    }
  }
  const queued: TransactionalMemory['savepoint'] = (tx, body) => {
    if (inside.getStore() === tx) return plain(tx, body)
    const turn = (lasts.get(tx) ?? Promise.resolve()).then(() => plain(tx, body))
    lasts.set(
      tx,
      turn.catch(() => {}),
    )
    return turn
  }
  return { plain, queued }
}

function assertInTransaction(tx: Tx): void {
  if (!tx.open) throw new TypeError('no transaction is open on this handle; use transaction()')
}

function assertUsable(tx: Tx): void {
  if (tx.aborted) throw unavailable('an earlier statement has failed')
}

function isConflict(error: unknown): boolean {
  const { code, cause } = (error ?? {}) as { code?: unknown; cause?: { code?: unknown } }
  return code === 'DEADLOCK' || cause?.code === 'DEADLOCK'
}

export function unavailable(message: string, cause?: unknown): OncewardError {
  return new OncewardError('STORE_UNAVAILABLE', message, { effect: 'none', cause })
}

/** A synchronous driver answers at once, an asynchronous one a moment later. */
function answer<T>(kind: 'sync' | 'async', act: () => T): T | Promise<T> {
  return kind === 'sync' ? act() : new Promise<void>((resolve) => setImmediate(resolve)).then(act)
}
