import type { Once, OnceOptions } from 'onceward'
import { noteAnswer, noteError } from './answers.ts'
import type { EngineModules } from './engine.ts'
import type { HistoryEvent, Statistics } from './history.ts'
import { consult } from './oracle.ts'
import type { Plan, PlannedCall, PlannedFault } from './plan.ts'
import { createPrng } from './prng.ts'
import { drainMicrotasks } from './scheduler.ts'
import { type Incarnation, startProcess } from './sim-process.ts'
import { opName } from './sim-store.ts'
import { MAX_VALUE_BYTES, tellAnswer, workOf } from './work.ts'
import { createWorld, type World } from './world.ts'

/** What one simulated run left behind. */
export interface Simulated {
  readonly history: readonly HistoryEvent[]
  readonly statistics: Statistics
  /** The numbers of the messages that met a fault. */
  readonly faulted: readonly number[]
}

/** A process and the instance that lives in it. */
interface Worker {
  process: Incarnation
  once: Once
}

/** How long held operations are left alone, so that the quiet time of every question is over, in ms. */
const QUIET_MS = 3_600_000

/** Carries out a plan from its beginning to the end of its liveness check. Call it from a macrotask. */
export function simulate(plan: Plan, engine: EngineModules): Simulated {
  const world = createWorld(plan, engine)
  const workers = plan.processes.map((_, index) => startWorker(world, index, 0))
  const { scheduler } = world
  const open = new Map<number, Worker['process']>()

  for (const call of plan.calls)
    scheduler.after(call.at, () => place(world, workers, call, open, call.retries))
  for (const fault of plan.faults) scheduler.after(fault.at, () => strike(world, workers, fault))
  scheduler.after(plan.healAt, () => heal(world, workers))
  scheduler.after(plan.healAt + 1, () => probeAll(world, workers, open))
  runOut(world)
  // Held operations whose oracle knows heal by themselves once their quiet time is over.
  scheduler.after(QUIET_MS, () => {
    for (const worker of workers)
      void worker.once.heal().catch((error) => world.note({ kind: 'leftover', detail: `heal: ${error}` }))
  })
  runOut(world)
  scheduler.after(QUIET_MS, () => probeAll(world, workers, open))
  runOut(world)

  for (const [call, process] of open) if (process.alive) world.note({ kind: 'unsettled', call })
  for (const { process } of workers) {
    if (process.timersSet > 0)
      world.note({ kind: 'leftover', detail: `${process.timersSet} timers of process ${process.index}` })
  }
  for (const record of world.store.all()) world.note({ kind: 'final', op: opName(record.id), record })
  return { history: world.history, statistics: world.statistics, faulted: world.network.faulted }
}

/** More events than any run can need: whoever reaches it is going round in circles. */
const MAX_EVENTS = 20_000

function runOut(world: World): void {
  drainMicrotasks()
  for (let events = 0; world.scheduler.step(); events++) {
    drainMicrotasks()
    if (events < MAX_EVENTS) continue
    world.note({ kind: 'leftover', detail: 'events without end' })
    return
  }
}

function startWorker(world: World, index: number, life: number): Worker {
  const { plan, engine, scheduler } = world
  const spec = plan.processes[index]
  if (spec === undefined) throw new Error(`the plan has no process ${index}`)
  const process = startProcess(
    index,
    spec,
    scheduler,
    createPrng(plan.network.seed + 97 * index + 7919 * life),
  )
  const options: OnceOptions & { readonly storeTimeoutMs: number } = {
    store: world.network.storeFor(process),
    scope: 'sim0',
    leaseMs: plan.leaseMs,
    maxValueBytes: MAX_VALUE_BYTES,
    reconcileTimeoutMs: 2 * plan.leaseMs,
    storeTimeoutMs: 1.5 * plan.leaseMs,
    clock: process.clock,
    timers: process.timers,
    random: process.random,
    ...(spec.cache ? {} : { cache: false as const }),
    reconcile: (held) => {
      const key = plan.keys.find(({ scope, name }) => scope === held.scope && name === held.key)
      return key === undefined || key.oracle === 'none'
        ? { outcome: 'unknown' }
        : consult(world, process, key, held)
    },
  }
  return { process, once: engine.createOnce(options) }
}

/** Lets a caller make its call, and again where its error allows it. */
function place(
  world: World,
  workers: readonly Worker[],
  call: PlannedCall,
  open: Map<number, Incarnation>,
  retries: number,
  probe = false,
): void {
  const { plan, engine } = world
  const worker = workers[call.process]
  const key = plan.keys[call.key]
  if (worker === undefined || key === undefined || !worker.process.alive) return
  const { process, once } = worker
  const callNumber = world.nextCall()
  const op = opName({ scope: key.scope, key: key.name })
  world.statistics.calls++
  world.note({ kind: 'call', call: callNumber, process: process.index, op, input: call.input, probe })
  open.set(callNumber, process)
  const input = { n: call.input }
  const controller = call.abortMs === undefined ? undefined : new AbortController()
  if (call.abortMs !== undefined) void process.sleep(call.abortMs).then(() => controller?.abort())
  const asked = {
    key: key.name,
    scope: key.scope,
    input,
    onCrash: key.onCrash,
    whenRunning: call.whenRunning,
    waitMs: call.waitMs,
    ...(key.retentionMs === undefined ? {} : { retentionMs: key.retentionMs }),
    ...(key.onError === undefined ? {} : { onError: key.onError }),
    ...(controller === undefined ? {} : { signal: controller.signal }),
  }
  let ran = false
  const work = workOf({ world, process, once, key, call, callNumber })
  const reply = once.run(asked, (operation) => {
    ran = true
    return work(operation)
  })
  // The input is taken as it is at the call: what its caller does to it afterwards changes nothing.
  input.n = -1
  reply.then(
    (value) => {
      open.delete(callNumber)
      if (!ran) world.statistics.replays++
      noteAnswer(world, callNumber, tellAnswer(value))
      if (probe) world.statistics.settledByProbe++
      // Whoever changes its answer changes nobody else's.
      if (typeof value === 'object' && value !== null)
        Object.assign(value, { told: 'changed by a caller', at: 0 })
    },
    (error: unknown) => {
      open.delete(callNumber)
      const again = noteError(world, callNumber, error)
      if (!again || retries <= 0) return
      const behaviour = engine.isOncewardError(error) ? call.behaviour : 'ok'
      const calmer: PlannedCall = { ...call, behaviour }
      void process.sleep(5).then(() => place(world, workers, calmer, open, retries - 1, probe))
    },
  )
}

function strike(world: World, workers: Worker[], fault: PlannedFault): void {
  const { scheduler, statistics, network, store } = world
  if (scheduler.now() >= world.plan.healAt) return
  if (fault.kind === 'outage' || fault.kind === 'failover') {
    if (fault.kind === 'failover') store.loseTail(fault.loses)
    else world.note({ kind: 'outage' })
    network.outage = true
    scheduler.after(fault.kind === 'failover' ? fault.downMs : fault.forMs, () => {
      network.outage = false
    })
    return
  }
  const worker = workers[fault.process]
  if (worker === undefined || !worker.process.alive) return
  const { process } = worker
  const { index } = process
  switch (fault.kind) {
    case 'crash':
      statistics.crashes++
      process.crash()
      world.note({ kind: 'crash', process: index })
      scheduler.after(fault.downMs, () => restart(world, workers, index))
      return
    case 'pause':
      if (process.paused) return
      statistics.pauses++
      process.pause()
      world.note({ kind: 'pause', process: index })
      scheduler.after(fault.forMs, () => {
        if (!process.alive || !process.paused) return
        process.resume()
        world.note({ kind: 'resume', process: index })
      })
      return
    case 'clock-jump':
      process.jumpClock(fault.byMs)
      world.note({ kind: 'clock-jump', process: index })
  }
}

function restart(world: World, workers: Worker[], index: number): void {
  if (workers[index]?.process.alive) return
  workers[index] = startWorker(world, index, 1 + Math.floor(world.scheduler.now()))
  world.note({ kind: 'restart', process: index })
}

function heal(world: World, workers: Worker[]): void {
  world.network.outage = false
  world.network.heal()
  for (const [index, { process }] of workers.entries()) {
    if (process.alive) process.resume()
    else restart(world, workers, index)
  }
  world.note({ kind: 'heal' })
}

/** Asks for every key once more, as a caller with all the patience it needs. */
function probeAll(world: World, workers: Worker[], open: Map<number, Incarnation>): void {
  const { plan, prng } = world
  for (const key of plan.keys.keys()) {
    // Whatever input the key now belongs to, one of the probes has it.
    const inputs = new Set([1, ...plan.calls.filter((call) => call.key === key).map(({ input }) => input)])
    for (const input of inputs) probe(key, input)
  }
  function probe(key: number, input: number): void {
    const call: PlannedCall = {
      id: -1,
      at: 0,
      process: prng.int(workers.length),
      key,
      input,
      behaviour: 'ok',
      beforeMs: 1,
      afterMs: 1,
      whenRunning: 'wait',
      waitMs: 100 * plan.leaseMs,
      retries: 3,
    }
    place(world, workers, call, open, call.retries, true)
  }
}
