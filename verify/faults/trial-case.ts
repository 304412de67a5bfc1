import { join } from 'node:path'
import { accountOf } from './business.ts'
import type { FaultKind } from './fault-kinds.ts'
import { historyWriter } from './history.ts'
import { lookAtStore } from './last-look.ts'
import type { Order } from './orders.ts'
import type { TrialPlan } from './plan.ts'
import type { PlannedFault } from './plan-faults.ts'
import { startProxies } from './proxies.ts'
import type { Stage } from './round.ts'
import { WorkerEnded, type WorkerProcess } from './worker-pool.ts'

/** A trial while it runs. */
export interface TrialCase {
  readonly plan: TrialPlan
  readonly folder: string
  readonly files: readonly string[]
  /** Lets the calls begin, and the faults of this trial. */
  go(): void
  /** Notes a fault that befell the store. */
  noteFault(kind: FaultKind, detail: string): void
  /** Ends all faults and waits until everything has been asked for once more. */
  heal(): Promise<void>
  /** Writes down what the store holds. */
  lookAtStore(): Promise<void>
  /** Gives everything back. */
  end(): Promise<void>
}

/** A place for a worker: several processes may fill it, one after the other. */
interface Seat {
  readonly worker: number
  life: number
  process?: WorkerProcess
  /** Nobody takes the place of a worker any more. */
  closed: boolean
  opening: Promise<void>
}

/** The longest time a worker may take for what it is told, in ms. */
const PATIENCE_MS = 30_000

/** Opens a trial: its files, its proxies and its workers, each with the store open. */
export async function openCase(stage: Stage, plan: TrialPlan, folder: string): Promise<TrialCase> {
  const { backend, pool, sink, library, run } = stage
  const trial = `${run}.${plan.seed}`
  const files = [join(folder, 'driver.jsonl'), join(folder, 'sink.jsonl')]
  const [driverFile = '', sinkFile = ''] = files
  const history = historyWriter(driverFile)
  await sink.open(trial, sinkFile)
  const proxies = await startProxies(backend.targets)
  const store = backend.address(proxies.ports, plan.seed)
  const timers = new Set<NodeJS.Timeout>()
  const after = (ms: number, act: () => void) => {
    const timer = setTimeout(() => {
      timers.delete(timer)
      act()
    }, ms)
    timers.add(timer)
  }
  let startedAt = 0
  let healing = false

  const openSeat = async (seat: Seat): Promise<void> => {
    const process = await pool.take()
    seat.process = process
    const { worker, life } = seat
    const file = join(folder, `worker-${worker}-${life}.jsonl`)
    files.push(file)
    const order: Order = { do: 'open', plan, trial, file, worker, life, library, store, sinkPort: sink.port }
    const opened = process.said('opened', PATIENCE_MS)
    process.tell(order)
    await opened
    void process.ended.then(() => replace(seat))
    if (startedAt > 0 && !healing) process.tell({ do: 'go', elapsedMs: performance.now() - startedAt })
  }
  const open = (seat: Seat) => {
    seat.opening = openSeat(seat).catch((error: unknown) => {
      // A store that is down keeps a worker from starting; it is tried again after the heal.
      if (!(error instanceof WorkerEnded))
        history.note({ k: 'start-failed', message: String(error).slice(0, 500) })
      if (error instanceof WorkerEnded) replace(seat)
    })
    return seat.opening
  }
  const replace = (seat: Seat) => {
    if (seat.closed) return
    const next = () => {
      if (seat.closed) return
      seat.life++
      void open(seat)
    }
    if (healing) next()
    else after(downMs(plan, seat.worker), next)
  }
  const seats = Array.from({ length: plan.workers }, (_, worker): Seat => {
    return { worker, life: 0, closed: false, opening: Promise.resolve() }
  })
  await Promise.all(seats.map(open))

  const strike = (fault: PlannedFault) => {
    const { kind, worker, forMs } = fault
    history.note({ k: 'fault', kind, ...(worker < 0 ? {} : { worker }), detail: `${forMs} ms` })
    const process = seats[worker]?.process
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
        after(forMs, () => proxies.heal())
    }
  }

  return {
    plan,
    folder,
    files,
    go() {
      startedAt = performance.now()
      for (const { process } of seats) process?.tell({ do: 'go', elapsedMs: 0 })
      for (const fault of plan.faults) after(fault.at, () => strike(fault))
    },
    noteFault: (kind, detail) => history.note({ k: 'fault', kind, detail }),
    async heal() {
      healing = true
      for (const timer of timers) clearTimeout(timer)
      timers.clear()
      await proxies.heal()
      for (const { process } of seats) process?.kill('SIGCONT')
      // Those who are starting join in; one that was to be replaced is replaced now.
      for (const seat of seats) {
        await seat.opening
        if (!seat.process?.isAlive()) {
          seat.life++
          await open(seat)
        }
      }
      history.note({ k: 'heal' })
      const settled = await Promise.allSettled(seats.map((seat) => healSeat(seat, seats.length)))
      for (const result of settled) {
        if (result.status === 'rejected')
          history.note({ k: 'start-failed', message: String(result.reason).slice(0, 500) })
      }
    },
    async lookAtStore() {
      const accounts = [accountOf(run, plan.seed, 0), accountOf(run, plan.seed, 1)]
      await lookAtStore(backend, plan, accounts, history.note)
    },
    async end() {
      healing = true
      for (const timer of timers) clearTimeout(timer)
      await proxies.heal()
      await Promise.all(
        seats.map(async (seat) => {
          seat.closed = true
          seat.process?.kill('SIGCONT')
          await seat.opening
          if (seat.process) await dismiss(seat.process)
        }),
      )
      await sink.close(trial)
      await proxies.stop()
      history.close()
    },
  }

  async function dismiss(process: WorkerProcess): Promise<void> {
    const finished = process.said('finished', 5000)
    process.tell({ do: 'finish' })
    try {
      await finished
      pool.giveBack(process)
    } catch {
      process.kill('SIGKILL')
      await process.ended
    }
  }
}

async function healSeat({ process, worker }: Seat, of: number): Promise<void> {
  if (process === undefined) return
  const settled = process.said('settled', PATIENCE_MS)
  process.tell({ do: 'heal', nth: worker, of })
  await settled
}

/** How long the place of a worker stays empty, in ms. */
function downMs({ faults, leaseMs }: TrialPlan, worker: number): number {
  return faults.find((fault) => fault.kind === 'kill' && fault.worker === worker)?.forMs ?? leaseMs / 4
}
