/**
 * A worker: a process that uses the library as a service would, and may be killed or stopped at any moment.
 *
 * It takes part in one trial after the other, as its parent tells it.
 */
import { type Once, operationId } from 'onceward'
import { ask } from './caller.ts'
import { PATIENCE_MS } from './check-settling.ts'
import { crashPlan } from './crash-plan.ts'
import { type EventLog, eventLog, monotonicMs } from './harness/event-log.ts'
import type { HistoryEvent } from './history.ts'
import { type Library, loadLibrary } from './library.ts'
import type { Order, Report } from './orders.ts'
import { probeCalls } from './plan.ts'
import { type SinkClient, sinkClient } from './sink-client.ts'
import { type OpenedStore, openStore } from './store-kinds.ts'
import { tapped } from './tap.ts'
import { consult, type WorkRoom } from './work.ts'
import type { Warm } from './worker-pool.ts'

/** One trial as this process takes part in it. */
interface Part {
  readonly order: Extract<Order, { do: 'open' }>
  readonly history: EventLog<HistoryEvent>
  readonly opened: OpenedStore
  readonly once: Once
  readonly room: WorkRoom
  readonly calls: Set<Promise<void>>
  readonly unsettled: Set<string>
  readonly lag: LagWatch
  over: boolean
}

const libraries = new Map<string, Promise<Library>>()
const sinks = new Map<number, Promise<SinkClient>>()
let part: Part | undefined

process.on('disconnect', () => process.exit())
process.on('message', (order: Order) => {
  carryOut(order).catch((error: unknown) => {
    say({ did: 'failed', message: error instanceof Error ? (error.stack ?? error.message) : String(error) })
  })
})
void warmUp(process.argv[2]).finally(() => say({ did: 'ready' }))

/** Loads what will be needed; what cannot be loaded is told by its first use. */
async function warmUp(told = '{"drivers":[]}'): Promise<void> {
  const { library, drivers } = JSON.parse(told) as Warm
  if (library !== undefined)
    await remembered(libraries, library, loadLibrary).catch(() => libraries.delete(library))
  for (const driver of drivers) await import(driver).catch(() => {})
}

function say(report: Report): void {
  // The parent may have gone, or this process may have been given up.
  if (process.connected) process.send?.(report, () => {})
}

async function carryOut(order: Order): Promise<void> {
  switch (order.do) {
    case 'open':
      part = await open(order)
      say({ did: 'opened' })
      return
    case 'go':
      if (part) go(part, order.elapsedMs)
      return
    case 'disk':
      part?.opened.fill?.(order.full)
      return
    case 'heal':
      if (part) await heal(part, order.nth, order.of)
      say({ did: 'settled' })
      return
    case 'finish':
      await finish()
      say({ did: 'finished' })
  }
}

async function open(order: Extract<Order, { do: 'open' }>): Promise<Part> {
  const { plan, worker, life, trial } = order
  const history = eventLog<HistoryEvent>(order.file, `${worker}.${life}`)
  const { note } = history
  note({ k: 'start', worker, life, pid: process.pid })
  const library = await remembered(libraries, order.library, loadLibrary)
  const sink = await remembered(sinks, order.sinkPort, sinkClient)
  const opened = await openStore(library, order.store)
  // The first connection, and the first look at the schema, are made before the calls begin.
  await opened.store.get(operationId('warm', 'warm')).catch(() => {})
  const crash = crashPlan(plan, worker, life, note)
  const { store } = library.faultPoints(tapped(opened.store, note), crash.store)
  const run = plan.keys[0]?.scope.split('.')[0] ?? ''
  const room: WorkRoom = {
    plan,
    run,
    trial,
    worker,
    library,
    sink,
    crash,
    note,
    write: opened.write,
    thrown: new WeakSet(),
  }
  const once = library.createOnce({
    store,
    scope: `${run}.${plan.seed}`,
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
  return {
    order,
    history,
    opened,
    once,
    room,
    calls: new Set(),
    unsettled: new Set(),
    lag: watchLag(),
    over: false,
  }
}

function go(current: Part, elapsedMs: number): void {
  const { plan, worker } = current.order
  for (const call of plan.calls) {
    if (call.worker !== worker || call.at < elapsedMs) continue
    setTimeout(() => begin(current, call), call.at - elapsedMs)
  }
}

function begin(current: Part, call: Parameters<typeof ask>[2]): void {
  const { once, room, order, unsettled, calls } = current
  if (current.over) return
  const asking = ask(room, once, call, order.life, unsettled, () => current.over).finally(() =>
    calls.delete(asking),
  )
  calls.add(asking)
}

/** Asks for everything once more, and waits until all calls have ended, as long as that takes (within reason). */
async function heal(current: Part, nth: number, of: number): Promise<void> {
  const { plan } = current.order
  current.room.crash.heal()
  current.opened.fill?.(false)
  const lag = watchLag()
  for (const call of probeCalls(plan, nth, of)) begin(current, call)
  if (nth === 0) {
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
  current.room.note({ k: 'lag', ms: lag.end(), lifeMs: current.lag.end() })
  if (current.unsettled.size > 0) {
    current.room.note({ k: 'unsettled', worker: current.order.worker, calls: [...current.unsettled] })
  }
}

async function allOf(calls: ReadonlySet<Promise<void>>): Promise<void> {
  while (calls.size > 0) await Promise.all(calls)
}

async function finish(): Promise<void> {
  const current = part
  part = undefined
  if (current === undefined) return
  current.over = true
  current.lag.end()
  await Promise.race([current.once.close(), new Promise((resolve) => setTimeout(resolve, 1000))])
  await current.opened.close()
  current.history.close()
}

/** Watches how long this process is kept from running. */
interface LagWatch {
  /** Answers the longest time, in ms. */
  end(): number
}

/** Measures how long this process was kept from running at most: its own delays are not the library's. */
function watchLag(): LagWatch {
  let last = monotonicMs()
  let longest = 0
  const timer = setInterval(() => {
    const now = monotonicMs()
    longest = Math.max(longest, now - last - 10)
    last = now
  }, 10)
  return {
    end() {
      clearInterval(timer)
      return Math.round(longest)
    },
  }
}

function remembered<K, V>(known: Map<K, Promise<V>>, key: K, make: (key: K) => Promise<V>): Promise<V> {
  const made = known.get(key) ?? make(key)
  known.set(key, made)
  return made
}
