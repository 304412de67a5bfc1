import type { OperationCatalog, OperationId, OperationStore } from 'onceward'
import type { Statistics } from './history.ts'
import type { NetworkPlan } from './plan.ts'
import { createPrng } from './prng.ts'
import type { Scheduler } from './scheduler.ts'
import type { Incarnation } from './sim-process.ts'
import type { SimStore } from './sim-store.ts'

/** What lies between the processes and the store. */
export interface SimNetwork {
  /** The store as one process reaches it: over three legs, each of which may fail. */
  storeFor(process: Incarnation): OperationStore & Pick<OperationCatalog, 'list' | 'sweep'>
  /** No request arrives until it is lifted. */
  outage: boolean
  /** From now on nothing goes wrong any more. */
  heal(): void
  /** The numbers of the messages that met a fault. */
  readonly faulted: readonly number[]
}

/** What befalls one call of the store. A delay of `Infinity` is a loss. */
interface Fate {
  readonly requestMs: number
  readonly replyMs: number
  /** The connection breaks after so many ms, as the process sees it. */
  readonly resetMs: number
  /** The request arrives once more after so many ms. */
  readonly againMs: number
}

/** Makes a network. */
export function simNetwork(
  plan: NetworkPlan,
  leaseMs: number,
  scheduler: Scheduler,
  store: SimStore,
  statistics: Statistics,
): SimNetwork {
  const prng = createPrng(plan.seed)
  const spared = new Set(plan.spared)
  const faulted: number[] = []
  let healed = false
  let messages = 0
  let outage = false
  let closed = false
  const watching = new Set<() => void>()

  const drawFate = (): Fate => {
    const number = messages++
    // The same numbers are drawn whether or not a message is spared, so that its successors keep their fates.
    const usual = () => prng.between(0.08, 1) * plan.legMs
    const clean: Fate = { requestMs: usual(), replyMs: usual(), resetMs: Infinity, againMs: Infinity }
    const roll = prng.fraction()
    const slowMs = prng.fraction() * leaseMs * (prng.chance(0.3) ? 3 : 0.6)
    const resetMs = prng.fraction() * 5
    const onRequest = prng.chance(0.5)
    const kinds: readonly (readonly [rate: number, fate: Partial<Fate>])[] = [
      [plan.loseRequest, { requestMs: Infinity }],
      [plan.loseReply, { replyMs: Infinity }],
      [plan.reset, { resetMs, replyMs: Infinity, ...(onRequest ? { requestMs: Infinity } : {}) }],
      [plan.late, { requestMs: plan.timeoutMs + slowMs }],
      [plan.duplicate, { againMs: slowMs }],
      [plan.slow, onRequest ? { requestMs: slowMs } : { replyMs: slowMs }],
    ]
    if (healed || spared.has(number)) return clean
    if (number === plan.only) {
      faulted.push(number)
      return { ...clean, ...(onRequest ? { requestMs: Infinity } : { replyMs: Infinity }) }
    }
    let until = 0
    for (const [rate, fate] of kinds) {
      until += rate
      if (roll >= until) continue
      faulted.push(number)
      return { ...clean, ...fate }
    }
    return clean
  }

  function send<T>(process: Incarnation, apply: () => Promise<T>): Promise<T> {
    if (!process.alive) return new Promise(() => {})
    statistics.messages++
    const fate = drawFate()
    return new Promise((resolve, reject) => {
      let open = true
      const close = () => {
        if (!open) return false
        open = false
        timeout?.cancel()
        return true
      }
      const fail = (error: unknown) =>
        process.deliver(() => {
          if (close()) reject(error)
        })
      const reply = (answer: T) =>
        process.deliver(() => {
          if (close()) resolve(answer)
        })
      const arrive = () => {
        if (!outage) return apply()
        statistics.lostRequests++
        return undefined
      }
      if (fate.requestMs === Infinity) statistics.lostRequests++
      else {
        scheduler.after(fate.requestMs, () => {
          if (fate.requestMs > plan.timeoutMs) statistics.lateRequests++
          void arrive()?.then((answer) => {
            if (fate.replyMs === Infinity) statistics.lostReplies++
            else scheduler.after(fate.replyMs, () => reply(copyOf(answer)))
          }, fail)
        })
      }
      if (fate.againMs !== Infinity) scheduler.after(fate.requestMs + fate.againMs, () => void arrive())
      if (fate.resetMs !== Infinity) scheduler.after(fate.resetMs, () => fail(new Error('connection reset')))
      // Without a time limit of the driver, what is lost is never answered, and the engine has to live with it.
      const timeout = plan.hangs
        ? undefined
        : scheduler.after(plan.timeoutMs, () => fail(new Error('the store did not answer in time')))
    })
  }

  function sendCopies<A extends unknown[], R>(
    process: Incarnation,
    call: (...parameters: A) => Promise<R>,
    parameters: A,
  ): Promise<R> {
    const sent = copyOf(parameters)
    return send(process, () => call(...sent))
  }

  function watch(process: Incarnation, id: OperationId, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal.aborted || closed) return resolve()
      const stop = store.onWrite((digest) => {
        // A push may be lost or late like everything else.
        if (digest !== id.digest || (!healed && prng.chance(0.1))) return
        scheduler.after(prng.between(0.08, 1) * plan.legMs, () => process.deliver(end))
      })
      const end = () => {
        stop()
        watching.delete(end)
        signal.removeEventListener('abort', end)
        resolve()
      }
      signal.addEventListener('abort', end)
      watching.add(end)
    })
  }

  return {
    storeFor(process) {
      const { methods } = store
      const over =
        <A extends unknown[], R>(call: (...parameters: A) => Promise<R>) =>
        (...parameters: A): Promise<R> =>
          // What is sent is what it was when it was sent.
          sendCopies(process, call, parameters)
      return {
        capabilities: {
          durable: true,
          transactional: false,
          push: process.spec.push,
          // Only what the engine's own healing needs of the catalog.
          listing: false,
          fencing: true,
        },
        claim: over(methods.claim),
        renew: over(methods.renew),
        checkpoint: over(methods.checkpoint),
        complete: over(methods.complete),
        release: over(methods.release),
        hold: over(methods.hold),
        get: over(methods.get),
        takeTurn: over(methods.takeTurn),
        resolve: over(methods.resolve),
        list: (query) =>
          send(process, async () => ({
            records: store
              .all()
              .filter(
                ({ state, id }) =>
                  (query.state === undefined || state === query.state) &&
                  (query.scope === undefined || id.scope === query.scope),
              ),
          })),
        sweep: () => send(process, () => store.sweep()),
        ...(process.spec.push
          ? { watch: (id: OperationId, signal: AbortSignal) => watch(process, id, signal) }
          : {}),
        close: async () => {
          closed = true
          for (const end of watching) end()
        },
      }
    },
    get outage() {
      return outage
    },
    set outage(on) {
      outage = on
    },
    heal() {
      healed = true
    },
    faulted,
  }
}

/** What a network does to data: the other side gets a copy. */
function copyOf<T>(data: T): T {
  if (typeof data !== 'object' || data === null) return data
  if (data instanceof Uint8Array) return data.slice() as T
  if (Array.isArray(data)) return data.map(copyOf) as T
  const copy: Record<string, unknown> = {}
  for (const name in data) copy[name] = copyOf(data[name])
  return copy as T
}
