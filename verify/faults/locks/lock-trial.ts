import { join } from 'node:path'
import type { PlannedFault } from '../plan-faults.ts'
import { type Proxies, startProxies } from '../proxies.ts'
import type { LockViolation } from './check-locks.ts'
import { type LockHistory, lockHistory } from './lock-events.ts'
import { befalls, type LockFault, type LockFaultKind } from './lock-faults.ts'
import type { LockPlan } from './lock-plan.ts'
import type { LockPool, LockWorker } from './lock-pool.ts'
import type { LockSink } from './lock-sink.ts'
import type { LockStage } from './lock-stages.ts'

/** What trials share. */
export interface LockTrialRoom {
  readonly stage: LockStage
  readonly pool: LockPool
  readonly sink: LockSink
  /** The built library of the workers. */
  readonly library: string
}

/** A trial while it runs. */
export interface LockTrial {
  readonly plan: LockPlan
  readonly folder: string
  readonly files: readonly string[]
  /** Lets the asking begin, and the faults of this trial; resolves when they have all begun. */
  go(): void
  noteFault(kind: LockFaultKind, detail: string): void
  /** Ends all faults and waits until every lock was asked for once more. */
  heal(): Promise<void>
  /** Lets the workers go, and looks what they have left behind. */
  finish(): Promise<void>
  /** Gives everything back, whatever has happened. */
  end(): Promise<void>
  /** What hindered the trial itself, or befell a process that nothing was done to. */
  readonly troubles: readonly LockViolation[]
}

/** The longest time a worker may take for what it is told, in ms. */
const PATIENCE_MS = 60_000

/** How often a place is filled anew after the heal, before it is given up. */
const MOST_TRIES = 5

/** For how long the place of a process that died is kept, in ms, and time for the look itself. */
const PLACE_MS = 8_000

/** Opens a trial: its files, its proxies and its workers. */
export async function openLockTrial(room: LockTrialRoom, plan: LockPlan, folder: string): Promise<LockTrial> {
  const { stage, pool, sink, library } = room
  const driverFile = join(folder, 'driver.jsonl')
  const files = [driverFile]
  const history: LockHistory = lockHistory(driverFile, 'driver')
  const stopRecording = sink.record(plan.keys, history)
  const proxies: Proxies = await startProxies(stage.targets)
  const address = stage.address(proxies.ports, plan.seed, Math.round(plan.ttlMs * 2))
  const timers = new Set<NodeJS.Timeout>()
  const troubles: LockViolation[] = []
  const hinders = (worker: number, error: unknown) =>
    troubles.push({ rule: 'trial', message: `worker ${worker}: ${String(error)}` })
  const seats: (LockWorker | undefined)[] = []
  const lives: number[] = []
  const opening: Promise<void>[] = []
  let going = false
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
  const take = async (worker: number): Promise<void> => {
    const life = (lives[worker] ?? -1) + 1
    lives[worker] = life
    const file = join(folder, `worker-${worker}-${life}.jsonl`)
    const taken = await pool.take()
    const opened = taken.said('opened', PATIENCE_MS)
    files.push(file)
    taken.tell({ do: 'open', plan, worker, life, file, address, sinkPort: sink.port, library })
    try {
      await opened
    } catch (error) {
      taken.kill('SIGKILL')
      await taken.ended
      // The server may be away just now.
      if (!over && going) after(plan.ttlMs, () => void seat(worker))
      else if (!going) throw error
      return
    }
    seats[worker] = taken
    void taken.ended.then((how) => {
      if (how === 'by itself') troubles.push({ rule: 'alive', message: `worker ${worker} ended by itself` })
    })
    if (going) taken.tell({ do: 'go' })
  }
  await Promise.all(Array.from({ length: plan.workers }, (_, worker) => seat(worker)))

  const strike = (fault: LockFault) => {
    const { kind, worker, forMs } = fault
    if (over) return
    history.note({
      k: 'fault',
      kind,
      detail: `${Math.round(forMs)} ms`,
      ...(befalls(kind) === 'worker' ? { worker } : {}),
    })
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
    } else if (struck?.isAlive()) {
      struck.kill('SIGKILL')
      after(forMs, () => {
        if (!over) void seat(worker)
      })
    }
  }

  return {
    plan,
    folder,
    files,
    troubles,
    go() {
      going = true
      for (const worker of seats) worker?.tell({ do: 'go' })
      for (const fault of plan.faults) after(fault.at, () => strike(fault))
    },
    noteFault: (kind, detail) => history.note({ k: 'fault', kind, detail }),
    async heal() {
      over = true
      for (const timer of timers) clearTimeout(timer)
      for (const worker of seats) worker?.kill('SIGCONT')
      await proxies.heal()
      await Promise.all(
        Array.from({ length: plan.workers }, async (_, worker) => {
          await opening[worker]
          for (let tries = 0; tries < MOST_TRIES && !seats[worker]?.isAlive(); tries++) await seat(worker)
        }),
      )
      history.note({ k: 'heal' })
      await Promise.all(
        seats.map(async (worker, nth) => {
          const settled = worker?.said('settled', PATIENCE_MS + plan.waitMs)
          worker?.tell({ do: 'heal' })
          await settled?.catch((error: unknown) => hinders(nth, error))
        }),
      )
    },
    async finish() {
      await Promise.all(
        seats.map(async (worker, nth) => {
          const finished = worker?.said('finished', PATIENCE_MS)
          worker?.tell({ do: 'finish' })
          await finished?.catch((error: unknown) => hinders(nth, error))
        }),
      )
      await lookBehind(stage, plan, history)
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

/** Waits until nobody holds or waits any more: whoever died is forgotten by then, and whoever went has left nothing. */
async function lookBehind(stage: LockStage, { keys, ttlMs }: LockPlan, history: LockHistory): Promise<void> {
  const { backend, end } = await stage.look()
  try {
    const until = performance.now() + PLACE_MS + ttlMs + stage.slackMs
    for (const key of keys) {
      for (;;) {
        const view = await backend.inspect(key)
        const holders = view?.holders.length ?? 0
        const waiting = view?.waiting ?? 0
        if (holders + waiting === 0) break
        if (performance.now() > until) {
          history.note({ k: 'residue', key, holders, waiting })
          break
        }
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
    }
  } finally {
    await backend.close()
    await end()
  }
}
