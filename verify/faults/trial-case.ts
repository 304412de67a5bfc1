import { join } from 'node:path'
import { accountOf } from './business.ts'
import type { FaultKind } from './fault-kinds.ts'
import { eventLog } from './harness/event-log.ts'
import type { HistoryEvent } from './history.ts'
import { lookAtStore } from './last-look.ts'
import type { TrialPlan } from './plan.ts'
import type { PlannedFault } from './plan-faults.ts'
import { startProxies } from './proxies.ts'
import type { Stage } from './round.ts'
import { seatOf } from './seat.ts'

/** A trial while it runs. */
export interface TrialCase {
  readonly plan: TrialPlan
  readonly folder: string
  /** The files of its history, so far. */
  readonly files: readonly string[]
  /** Lets the calls begin, and the faults of this trial. */
  go(): void
  /** Ends all workers at once; they are replaced once what it answers is called. */
  powerOff(): Promise<() => void>
  /** Notes a fault that befell the store. */
  noteFault(kind: FaultKind, detail: string): void
  /** Ends all faults and waits until everything has been asked for once more. */
  heal(): Promise<void>
  /** Gives the workers back: what they answer from now on, nobody hears. */
  dismiss(): Promise<void>
  /** Writes down what the store holds. */
  lookAtStore(): Promise<void>
  /** Gives everything back. */
  end(): Promise<void>
}

/** Opens a trial: its files, its proxies and its workers, each with the store open. */
export async function openCase(stage: Stage, plan: TrialPlan, folder: string): Promise<TrialCase> {
  const { backend, pool, sink, library, run } = stage
  const trial = `${run}.${plan.seed}`
  const driverFile = join(folder, 'driver.jsonl')
  const sinkFile = join(folder, 'sink.jsonl')
  const files = [driverFile, sinkFile]
  const history = eventLog<HistoryEvent>(driverFile, 'driver')
  await sink.open(trial, sinkFile)
  const proxies = await startProxies(backend.targets)
  const timers = new Set<NodeJS.Timeout>()
  const after = (ms: number, act: () => void) => {
    const timer = setTimeout(() => {
      timers.delete(timer)
      act()
    }, ms)
    timers.add(timer)
  }
  const endTimers = () => {
    for (const timer of timers) clearTimeout(timer)
    timers.clear()
  }
  const store = backend.address(proxies.ports, plan)
  const seats = Array.from({ length: plan.workers }, (_, worker) =>
    seatOf(
      {
        pool,
        folder,
        order: { do: 'open', plan, trial, library, store, sinkPort: sink.port },
        downMs: downMs(plan, worker),
        after,
        onOpened: (file) => files.push(file),
        onFailed: (message) => history.note({ k: 'start-failed', message }),
      },
      worker,
    ),
  )
  await Promise.all(seats.map((seat) => seat.fill()))

  let struck: FaultKind | undefined
  const healNetwork = async () => {
    const kind = struck
    struck = undefined
    if (kind !== undefined && proxies.fired() > 0)
      history.note({ k: 'fault', kind, detail: `fired ${proxies.fired()} times` })
    await proxies.heal()
  }
  const strike = (fault: PlannedFault) => {
    const { kind, worker, forMs } = fault
    const process = seats[worker]?.process()
    if (worker >= 0 && !process?.isAlive()) return
    if (worker >= 0) history.note({ k: 'fault', kind, worker, detail: `${forMs} ms` })
    switch (kind) {
      case 'kill':
        process?.kill('SIGKILL')
        return
      case 'stop':
        process?.kill('SIGSTOP')
        after(forMs, () => process?.kill('SIGCONT'))
        return
      case 'disk-full':
        process?.tell({ do: 'disk', full: true })
        after(forMs, () => process?.tell({ do: 'disk', full: false }))
        return
      default:
        proxies.strike(fault)
        // One that met no traffic is not counted.
        struck = kind
        after(forMs, () => void healNetwork())
    }
  }

  return {
    plan,
    folder,
    files,
    go() {
      const now = performance.now()
      for (const seat of seats) seat.go(now)
      for (const fault of plan.faults) after(fault.at, () => strike(fault))
    },
    async powerOff() {
      const backOn = await Promise.all(seats.map((seat) => seat.powerOff()))
      return () => {
        for (const on of backOn) on()
      }
    },
    noteFault: (kind, detail) => history.note({ k: 'fault', kind, detail }),
    async heal() {
      endTimers()
      await healNetwork()
      for (const seat of seats) seat.process()?.kill('SIGCONT')
      await Promise.all(seats.map((seat) => seat.ready()))
      history.note({ k: 'heal' })
      await Promise.all(seats.map((seat) => seat.heal(seats.length)))
    },
    async dismiss() {
      await Promise.all(seats.map((seat) => seat.empty()))
    },
    async lookAtStore() {
      const accounts = [accountOf(run, plan.seed, 0), accountOf(run, plan.seed, 1)]
      await lookAtStore(backend, plan, accounts, history.note)
    },
    async end() {
      endTimers()
      await proxies.heal()
      await Promise.all(seats.map((seat) => seat.empty()))
      await sink.close(trial)
      await proxies.stop()
      history.close()
    },
  }
}

/** How long the place of a worker stays empty, in ms. */
function downMs({ faults, leaseMs }: TrialPlan, worker: number): number {
  return faults.find((fault) => fault.kind === 'kill' && fault.worker === worker)?.forMs ?? leaseMs / 4
}
