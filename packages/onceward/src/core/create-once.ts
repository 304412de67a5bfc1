import {
  type Asked,
  type AskStore,
  askWithClaim,
  attempt,
  refusal,
  requestOf,
  type Shared,
} from './attempt.ts'
import { currentFrame, type Frame, isInside, isInsideStore, noteCrossed } from './context.ts'
import { deriveKey, type Key } from './derive-key.ts'
import { OncewardError } from './errors.ts'
import { fingerprintOf } from './fingerprint.ts'
import { heal } from './healing.ts'
import { operationId } from './identity.ts'
import { checkWork } from './known-fields.ts'
import type {
  AttemptReply,
  Call,
  JoinableStore,
  Once,
  OnceOptions,
  Operation,
  TransactionOperation,
} from './once-types.ts'
import type { OperationId, OperationRecord } from './operation.ts'
import { createOutcomeCache } from './outcome-cache.ts'
import { createAbortWatch } from './patience.ts'
import { createRooms } from './room.ts'
import { callPolicy, engineOf, policyOf } from './settings.ts'
import type { OperationStore, TransactionalStore } from './store.ts'
import { askWithTransaction, runWithin, type TransactionWork } from './transaction.ts'
import { reported } from './verdict.ts'
import type { VolatileField } from './volatile-fields.ts'

/**
 * Makes an instance that runs operations once.
 *
 * Guarantee: at most one effect for a key with `onCrash: 'hold'` (the default); one effect in a transaction.
 * Limit: a crash between an external effect and the storing of its outcome leaves the operation *held*, or reruns it
 * with `onCrash: 'rerun'`. Every process that shares the store counts as one caller.
 *
 * @throws `TypeError` for options that make no sense, at once.
 * @example
 * const once = createOnce({ store: memoryStore(), scope: 'payments' })
 * const receipt = await once.run({ key: ['charge', order.id], input: order }, () => charge(order))
 */
export function createOnce(options: OnceOptions): Once {
  const engine = engineOf(options)
  const base = policyOf(options)
  const shared: Shared = {
    engine,
    rooms: createRooms(),
    cache: createOutcomeCache(engine.clock, options.cache),
    aborts: createAbortWatch(),
  }
  let closed = false

  const identify = (call: Pick<Call, 'key' | 'scope' | 'allowVolatile'>): OperationId => {
    const { key, scope = engine.scope, allowVolatile = [] } = call
    const suspects: VolatileField[] = []
    const derived = deriveKey(key, {
      clock: engine.clock,
      allowVolatile,
      onVolatile: (field) => suspects.push(field),
    })
    const id = operationId(scope, derived)
    for (const { path, looksLike } of suspects) {
      engine.emit('volatile-key', id, { message: `${path} of the key looks like ${looksLike}` })
    }
    return id
  }
  const prepare = (call: Call): Asked => {
    const policy = callPolicy(base, call)
    const id = identify(call)
    // What runs may still call what it is made of.
    if (closed && !isInsideStore(engine.store)) throw new OncewardError('CLOSED')
    if (isInside(id.digest, engine.store)) {
      throw new OncewardError(
        'REENTRANT',
        'the key of an operation was run again inside its own work; use a key of its own',
      )
    }
    return { id, policy, fingerprint: fingerprintOf(call.input), input: call.input, signal: call.signal }
  }
  const answer = <T>(
    call: Call,
    fn: unknown,
    way: (asked: Asked) => AskStore<T>,
  ): Promise<AttemptReply<T>> => {
    checkWork('the call', fn)
    const asked = prepare(call)
    return attempt(shared, asked, way(asked))
  }

  return {
    store: engine.store,
    scope: engine.scope,
    attempt: <T>(call: Call, fn: (op: Operation) => T | Promise<T>) =>
      crossing(() => answer<T>(call, fn, (asked) => askWithClaim(shared, asked, fn))),
    run: <T>(call: Call, fn: (op: Operation) => T | Promise<T>) =>
      crossing(() => answer<T>(call, fn, (asked) => askWithClaim(shared, asked, fn)).then(valueIn)),
    transaction: <T, Tx>(call: Call, fn: TransactionWork<T, Tx>) =>
      crossing(() => {
        const store = joinable<Tx>(engine.store)
        return answer<T>(call, fn, (asked) => askWithTransaction(shared, asked, store, fn)).then(valueIn)
      }),
    within: <T, Tx>(tx: Tx, call: Call, fn: (op: TransactionOperation) => T | Promise<T>) =>
      crossing(() => {
        const store = joinable<Tx>(engine.store)
        checkWork('within', fn)
        const asked = prepare(call)
        return runWithin(asked, store, tx, requestOf(engine, asked, false), fn)
      }),
    withinSync: <T, Tx>(tx: Tx, call: Call, fn: (op: TransactionOperation) => T) =>
      crossingSync(() => {
        const store = joinable<Tx>(engine.store)
        if (store.capabilities.transactional !== 'sync') {
          throw new TypeError('withinSync needs a store with a synchronous driver; await within() instead')
        }
        checkWork('withinSync', fn)
        const asked = prepare(call)
        return runWithin(asked, store, tx, requestOf(engine, asked, false), fn) as T
      }),
    get: (key: Key, where: { readonly scope?: string } = {}): Promise<OperationRecord | undefined> =>
      crossing(() => engine.store.get(identify({ key, ...where }))),
    heal: () => crossing(() => heal(engine, base)),
    close: async () => {
      closed = true
      await shared.rooms.idle()
    },
  }
}

/** Marks what comes out of an operation nested in another: what it says of its effect says nothing about the outer one. */
async function crossing<T>(nested: () => T | Promise<T>): Promise<T> {
  const outer = currentFrame()
  try {
    return await nested()
  } catch (error) {
    throw crossed(error, outer)
  }
}

function valueIn<T>(reply: AttemptReply<T>): T {
  if ('value' in reply) return reply.value
  throw refusal(reply)
}

/** {@link crossing} for what does not wait. */
function crossingSync<T>(nested: () => T): T {
  const outer = currentFrame()
  try {
    return nested()
  } catch (error) {
    throw crossed(error, outer)
  }
}

function crossed(error: unknown, outer: Frame | undefined): unknown {
  if (outer && typeof error === 'object' && error !== null) noteCrossed(outer, error)
  reported(error)
  return error
}

function joinable<Tx>(store: OperationStore & Partial<TransactionalStore<Tx>>): JoinableStore<Tx> {
  if (isJoinable(store)) return store
  throw new TypeError(
    'this store cannot join a transaction; use one whose capabilities say "transactional": postgresStore, mysqlStore or sqliteStore',
  )
}

function isJoinable<Tx>(store: OperationStore & Partial<TransactionalStore<Tx>>): store is JoinableStore<Tx> {
  return store.capabilities.transactional !== false && typeof store.claimIn === 'function'
}
