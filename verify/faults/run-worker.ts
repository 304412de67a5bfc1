/**
 * A worker: a process that uses the library as a service would, and may be killed or stopped at any moment.
 *
 * It takes part in one trial after the other, as its parent tells it.
 */
import { type Once, operationId } from 'onceward'
import { ask } from './caller.ts'
import { PATIENCE_MS } from './check-settling.ts'
import { crashPlan } from './crash-plan.ts'
import { eventLog } from './harness/event-log.ts'
import { watchLag } from './harness/lag-watch.ts'
import { sinkClient } from './harness/sink-server.ts'
import { type OpenOrder, type Part, serveTrials } from './harness/trial-worker.ts'
import type { HistoryEvent } from './history.ts'
import { type Library, loadLibrary } from './library.ts'
import { type PlannedCall, probeCalls, type StorePlan, trialOf } from './plan.ts'
import type { SinkReply, SinkRequest } from './sink-protocol.ts'
import { type OpenedStore, openStore, type StoreAddress } from './store-kinds.ts'
import type { AskSink } from './store-sink.ts'
import { tapped } from './tap.ts'
import { consult, type WorkRoom } from './work.ts'
import type { Warm } from './worker-pool.ts'

/** One life of a worker in a trial. */
interface Life {
  readonly nth: number
  readonly opened: OpenedStore
  readonly once: Once
  readonly room: WorkRoom
  readonly calls: Set<Promise<void>>
  readonly unsettled: Set<string>
  /** Answers the longest time this process was kept from running in this life: its own delays are not the library's. */
  readonly lag: () => number
  over: boolean
}

const libraries = new Map<string, Promise<Library>>()
const sinks = new Map<number, Promise<AskSink>>()

serveTrials<StorePlan, StoreAddress>(open, warmUp(process.argv[2]))

/** Loads what will be needed; what cannot be loaded is told by its first use. */
async function warmUp(told = '{"drivers":[]}'): Promise<void> {
  const { library, drivers } = JSON.parse(told) as Warm
  if (library !== undefined)
    await remembered(libraries, library, loadLibrary).catch(() => libraries.delete(library))
  for (const driver of drivers) await import(driver).catch(() => {})
}

async function open(order: OpenOrder<StorePlan, StoreAddress>): Promise<Part> {
  const { plan, worker, life } = order
  const history = eventLog<HistoryEvent>(order.file, `${worker}.${life}`)
  const { note } = history
  note({ k: 'start', worker, life, pid: process.pid })
  const library = await remembered(libraries, order.library, loadLibrary)
  const sink = await remembered(sinks, order.sinkPort, sinkClient<SinkRequest, SinkReply>)
  const opened = await openStore(library, order.address)
  // The first connection, and the first look at the schema, are made before the calls begin.
  await opened.store.get(operationId('warm', 'warm')).catch(() => {})
  const crash = crashPlan(plan, worker, life, note)
  const thrown = new WeakSet<object>()
  const room: WorkRoom = { plan, worker, library, sink, crash, note, write: opened.write, thrown }
  const current: Life = {
    nth: life,
    opened,
    once: instanceOf(room, opened),
    room,
    calls: new Set(),
    unsettled: new Set(),
    lag: watchLag(),
    over: false,
  }
  return {
    go: (sinceMs) => go(current, sinceMs),
    fillDisk: (full) => opened.fill?.(full),
    heal: () => heal(current),
    async finish() {
      await finish(current)
      history.close()
    },
  }
}

/** The library, as this worker uses it. */
function instanceOf(room: WorkRoom, opened: OpenedStore): Once {
  const { plan, library, crash, note } = room
  const { store } = library.faultPoints(tapped(opened.store, note), crash.store)
  return library.createOnce({
    store,
    scope: trialOf(plan),
    leaseMs: plan.leaseMs,
    retentionMs: 3_600_000,
    storeTimeoutMs: plan.leaseMs * 2,
    reconcileTimeoutMs: plan.leaseMs,
    ...(plan.cache ? {} : { cache: false as const }),
    reconcile: (held) => {
      const mode = plan.keys.find(({ scope, key }) => scope === held.scope && key === held.key)?.mode
      return mode === 'reconciled' ? consult(room, held) : { outcome: 'unknown' }
    },
  })
}

/** Calls planned for before now belonged to an earlier life. */
function go(current: Life, sinceMs: number): void {
  const { plan, worker } = current.room
  for (const call of plan.calls) {
    if (call.worker !== worker || call.at < sinceMs) continue
    setTimeout(() => begin(current, call), call.at - sinceMs)
  }
}

function begin(current: Life, call: PlannedCall): void {
  const { once, room, nth, unsettled, calls } = current
  if (current.over) return
  const asking = ask(room, once, call, nth, unsettled, () => current.over).finally(() => calls.delete(asking))
  calls.add(asking)
}

/** Asks for everything once more, and waits until all calls have ended, as long as that takes (within reason). */
async function heal(current: Life): Promise<void> {
  const { plan, worker } = current.room
  current.room.crash.heal()
  current.opened.fill?.(false)
  const lag = watchLag()
  for (const call of probeCalls(plan, worker, plan.workers)) begin(current, call)
  if (worker === 0) {
    const healing = current.once.heal().then(
      () => {},
      () => {},
    )
    current.calls.add(healing)
    void healing.then(() => current.calls.delete(healing))
  }
  // A held operation has its quiet time before it may be asked about again, and then its three leases.
  const patienceMs = plan.leaseMs * 3 + plan.timeoutMs + PATIENCE_MS
  await Promise.race([allOf(current.calls), new Promise((resolve) => setTimeout(resolve, patienceMs))])
  current.room.note({ k: 'lag', ms: lag(), lifeMs: current.lag() })
  if (current.unsettled.size > 0) {
    current.room.note({ k: 'unsettled', worker, calls: [...current.unsettled] })
  }
}

async function allOf(calls: ReadonlySet<Promise<void>>): Promise<void> {
  while (calls.size > 0) await Promise.all(calls)
}

async function finish(current: Life): Promise<void> {
  current.over = true
  current.lag()
  await Promise.race([current.once.close(), new Promise((resolve) => setTimeout(resolve, 1000))])
  await current.opened.close()
}

function remembered<K, V>(known: Map<K, Promise<V>>, key: K, make: (key: K) => Promise<V>): Promise<V> {
  const made = known.get(key) ?? make(key)
  known.set(key, made)
  return made
}
