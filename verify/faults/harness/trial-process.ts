import { join } from 'node:path'
import { type Proxies, startProxies } from '../proxies.ts'
import { type DriverEvent, type EventLog, eventLog, type Timed } from './event-log.ts'
import type { PooledWorker, ProcessPool } from './process-pool.ts'
import type { Violation } from './statistics.ts'
import { befalls, type TrialFault, type TrialFaultKind } from './trial-faults.ts'
import type { TrialKind, TrialPlan, TrialSink, TrialStage } from './trial-kind.ts'
import type { TrialReport, WorkerOrder } from './trial-worker.ts'

/** Workers of trials. */
export type TrialPool = ProcessPool<WorkerOrder, TrialReport>

/** What trials share. */
export interface TrialRoom<
  Stage extends TrialStage,
  Plan extends TrialPlan,
  Event extends Timed,
  Sink extends TrialSink<Plan, Event>,
> {
  readonly kind: TrialKind<Stage, Plan, Event, Sink>
  readonly stage: Stage
  readonly pool: TrialPool
  readonly sink: Sink
  /** The built library of the workers. */
  readonly library: string
}

/** A trial while it runs. */
export interface Trial<Plan> {
  readonly plan: Plan
  readonly folder: string
  readonly files: readonly string[]
  /** Lets the callers begin, and the faults of this trial. */
  go(): void
  noteFault(kind: TrialFaultKind, detail: string): void
  /** Ends all faults and waits until everything has come to rest. */
  heal(): Promise<void>
  /** Lets the workers go, and looks what they have left behind. */
  finish(): Promise<void>
  /** Gives everything back, whatever has happened. */
  end(): Promise<void>
  /** What hindered the trial itself, or befell a process that nothing was done to. */
  readonly troubles: readonly Violation[]
}

type Worker = PooledWorker<WorkerOrder, TrialReport>

/** The longest time a worker may take for what it is told, in ms. */
const PATIENCE_MS = 90_000

/** How often a place is filled anew after the heal, before it is given up. */
const MOST_TRIES = 5

/** Opens a trial: its files, its proxies and its workers. */
export async function openTrial<
  Stage extends TrialStage,
  Plan extends TrialPlan,
  Event extends Timed,
  Sink extends TrialSink<Plan, Event>,
>(
  { kind: lane, stage, pool, sink, library }: TrialRoom<Stage, Plan, Event, Sink>,
  plan: Plan,
  folder: string,
): Promise<Trial<Plan>> {
  const driverFile = join(folder, 'driver.jsonl')
  const files = [driverFile]
  const log = eventLog<Event>(driverFile, 'driver')
  // Every lane has these events too.
  const driver = log as unknown as EventLog<DriverEvent>
  const stopRecording = sink.record(plan, log)
  const given = (await lane.prepare?.(stage, plan)) ?? []
  const proxies: Proxies = await startProxies(stage.targets)
  const address = stage.address(proxies.ports, plan.seed, plan.timeoutMs)
  const timers = new Set<NodeJS.Timeout>()
  const troubles: Violation[] = []
  const hinders = (worker: number, error: unknown) =>
    troubles.push({ rule: 'trial', message: `worker ${worker}: ${String(error)}` })
  const seats: (Worker | undefined)[] = []
  const lives: number[] = []
  /** How long a place stays empty after it was killed from outside. */
  const emptyMs: (number | undefined)[] = []
  const opening: Promise<void>[] = []
  let goneAt: number | undefined
  let over = false
  const after = (ms: number, act: () => void) => {
    const timer = setTimeout(() => {
      timers.delete(timer)
      act()
    }, ms)
    timers.add(timer)
  }
  const everySeat = (act: (worker: number) => Promise<void>) =>
    Promise.all(Array.from({ length: plan.workers }, (_, worker) => act(worker)))

  const seat = (worker: number): Promise<void> => {
    const taking = take(worker)
    opening[worker] = taking
    return taking
  }
  const go = (worker: Worker | undefined) => {
    if (goneAt !== undefined) worker?.tell({ do: 'go', sinceMs: performance.now() - goneAt })
  }
  const take = async (worker: number): Promise<void> => {
    const life = (lives[worker] ?? -1) + 1
    lives[worker] = life
    const file = join(folder, `worker-${worker}-${life}.jsonl`)
    const taken = await pool.take()
    const opened = taken.said('opened', PATIENCE_MS)
    files.push(file)
    const about = { plan, worker, life, file, address, sinkPort: sink.port, library, given, calm: over }
    taken.tell({ do: 'open', ...about })
    try {
      await opened
    } catch (error) {
      taken.kill('SIGKILL')
      await taken.ended
      // The server may be away just now, or the process has ended itself already.
      if (!over && goneAt !== undefined) after(plan.leaseMs, () => void seat(worker))
      else if (goneAt === undefined) throw error
      return
    }
    seats[worker] = taken
    void taken.ended.then((how) => {
      if (how !== 'killed')
        troubles.push({ rule: 'alive', message: `worker ${worker} ended by itself: ${how}` })
      if (!over) after(emptyMs[worker] ?? plan.leaseMs / 2, () => void seat(worker))
      emptyMs[worker] = undefined
    })
    go(taken)
  }
  await everySeat(seat)

  const strike = (fault: TrialFault) => {
    const { kind, worker, forMs } = fault
    if (over) return
    const whom = befalls(kind) === 'worker' ? { worker } : {}
    driver.note({ k: 'fault', kind, detail: `${Math.round(forMs)} ms`, ...whom })
    if (befalls(kind) === 'connection') {
      proxies.strike(fault)
      after(forMs, () => void proxies.heal())
      return
    }
    const struck = seats[worker]
    if (kind === 'block') struck?.tell({ do: 'block', ms: forMs })
    else if (kind === 'stop') {
      struck?.kill('SIGSTOP')
      after(forMs, () => struck?.kill('SIGCONT'))
    } else if (struck?.isAlive()) {
      emptyMs[worker] = forMs
      struck.kill('SIGKILL')
    }
  }
  const filled = async (worker: number) => {
    await opening[worker]
    if (!seats[worker]?.isAlive()) await seat(worker)
  }
  const settle = async (worker: number) => {
    for (let tries = 1; tries <= MOST_TRIES; tries++) {
      await filled(worker)
      const struck = seats[worker]
      const settled = struck?.said('settled', PATIENCE_MS)
      struck?.tell({ do: 'heal' })
      try {
        await settled
        if (struck) return
      } catch (error) {
        // One that ended itself in the last moment is seated anew.
        if (struck?.isAlive() || tries === MOST_TRIES) return void hinders(worker, error)
      }
    }
  }

  return {
    plan,
    folder,
    files,
    troubles,
    go() {
      goneAt = performance.now()
      for (const worker of seats) go(worker)
      for (const fault of plan.faults) after(fault.at, () => strike(fault))
    },
    noteFault: (kind, detail) => driver.note({ k: 'fault', kind, detail }),
    async heal() {
      over = true
      for (const timer of timers) clearTimeout(timer)
      for (const worker of seats) worker?.kill('SIGCONT')
      await proxies.heal()
      // The start of a process is no part of what is measured from here on.
      await everySeat(filled)
      driver.note({ k: 'heal' })
      await everySeat(settle)
      await lane.settle?.({ stage, plan, sink, log })
    },
    async finish() {
      await everySeat(async (worker) => {
        const finished = seats[worker]?.said('finished', PATIENCE_MS)
        seats[worker]?.tell({ do: 'finish' })
        await finished?.catch((error: unknown) => hinders(worker, error))
      })
      await lane.look({ stage, plan, sink, log })
    },
    async end() {
      over = true
      for (const timer of timers) clearTimeout(timer)
      await Promise.allSettled(opening)
      for (const worker of seats.splice(0)) {
        worker?.kill('SIGCONT')
        if (worker?.isAlive() && troubles.length === 0) pool.giveBack(worker)
        else worker?.kill('SIGKILL')
      }
      await proxies.stop()
      stopRecording()
      log.close()
    },
  }
}
