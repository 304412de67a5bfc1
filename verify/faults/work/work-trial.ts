import { join } from 'node:path'
import type { PlannedFault } from '../plan-faults.ts'
import type { PooledWorker, ProcessPool } from '../process-pool.ts'
import { type Proxies, startProxies } from '../proxies.ts'
import type { WorkViolation } from './check-work.ts'
import type { WorkOrder, WorkReport } from './run-work-worker.ts'
import { workHistory } from './work-events.ts'
import { befalls, type WorkFault, type WorkFaultKind } from './work-faults.ts'
import { KEEPERS } from './work-keepers.ts'
import type { WorkPlan } from './work-plan.ts'
import type { WorkSink } from './work-sink.ts'
import type { WorkStage } from './work-stages.ts'

/** What trials share. */
export interface WorkTrialRoom {
  readonly stage: WorkStage
  readonly pool: ProcessPool<WorkOrder, WorkReport>
  readonly sink: WorkSink
  /** The built library of the workers. */
  readonly library: string
}

/** A trial while it runs. */
export interface WorkTrial {
  readonly plan: WorkPlan
  readonly folder: string
  readonly files: readonly string[]
  /** Lets the callers begin, and the faults of this trial. */
  go(): void
  noteFault(kind: WorkFaultKind, detail: string): void
  /** Ends all faults and waits until everything has come to rest. */
  heal(): Promise<void>
  /** Lets the workers go, and looks what they have left behind. */
  finish(): Promise<void>
  /** Gives everything back, whatever has happened. */
  end(): Promise<void>
  /** What hindered the trial itself, or befell a process that nothing was done to. */
  readonly troubles: readonly WorkViolation[]
}

type Worker = PooledWorker<WorkOrder, WorkReport>

/** The longest time a worker may take for what it is told, in ms. */
const PATIENCE_MS = 90_000

/** How often a place is filled anew after the heal, before it is given up. */
const MOST_TRIES = 5

/** Opens a trial: its files, its proxies and its workers. */
export async function openWorkTrial(room: WorkTrialRoom, plan: WorkPlan, folder: string): Promise<WorkTrial> {
  const { stage, pool, sink, library } = room
  const keeper = KEEPERS[plan.lane]
  const driverFile = join(folder, 'driver.jsonl')
  const files = [driverFile]
  const history = workHistory(driverFile, 'driver')
  const stopRecording = sink.record(plan.trial, history)
  const given = await keeper.prepare(stage, plan)
  const proxies: Proxies = await startProxies(stage.targets)
  const address = stage.address(proxies.ports, plan.seed, plan.timeoutMs)
  const timers = new Set<NodeJS.Timeout>()
  const troubles: WorkViolation[] = []
  const hinders = (worker: number, error: unknown) =>
    troubles.push({ rule: 'trial', message: `worker ${worker}: ${String(error)}` })
  const seats: (Worker | undefined)[] = []
  const lives: number[] = []
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
      if (how === 'by itself') troubles.push({ rule: 'alive', message: `worker ${worker} ended by itself` })
      if (!over) after(plan.leaseMs / 2, () => void seat(worker))
    })
    go(taken)
  }
  await Promise.all(Array.from({ length: plan.workers }, (_, worker) => seat(worker)))

  const strike = (fault: WorkFault) => {
    const { kind, worker, forMs } = fault
    if (over) return
    const whom = befalls(kind) === 'worker' ? { worker } : {}
    history.note({ k: 'fault', kind, detail: `${Math.round(forMs)} ms`, ...whom })
    if (befalls(kind) === 'connection') {
      proxies.strike(fault as PlannedFault)
      after(forMs, () => void proxies.heal())
      return
    }
    const struck = seats[worker]
    if (kind === 'block') struck?.tell({ do: 'block', ms: forMs })
    else if (kind === 'stop') {
      struck?.kill('SIGSTOP')
      after(forMs, () => struck?.kill('SIGCONT'))
    } else if (struck?.isAlive()) struck.kill('SIGKILL')
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
    noteFault: (kind, detail) => history.note({ k: 'fault', kind, detail }),
    async heal() {
      over = true
      for (const timer of timers) clearTimeout(timer)
      for (const worker of seats) worker?.kill('SIGCONT')
      await proxies.heal()
      history.note({ k: 'heal' })
      await Promise.all(
        Array.from({ length: plan.workers }, async (_, worker) => {
          for (let tries = 0; tries < MOST_TRIES; tries++) {
            await opening[worker]
            if (!seats[worker]?.isAlive()) await seat(worker)
            const struck = seats[worker]
            const settled = struck?.said('settled', PATIENCE_MS)
            struck?.tell({ do: 'heal' })
            try {
              await settled
              if (struck) return
            } catch (error) {
              // One that ended itself in the last moment is seated anew.
              if (struck?.isAlive() || tries === MOST_TRIES - 1) hinders(worker, error)
            }
          }
        }),
      )
      await keeper.settle(stage, plan, sink, history)
    },
    async finish() {
      await Promise.all(
        seats.map(async (worker, nth) => {
          const finished = worker?.said('finished', PATIENCE_MS)
          worker?.tell({ do: 'finish' })
          await finished?.catch((error: unknown) => hinders(nth, error))
        }),
      )
      await keeper.look(stage, plan, history)
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
      history.close()
    },
  }
}
