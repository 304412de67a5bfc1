import { join } from 'node:path'
import { type DriverEvent, type EventLog, eventLog } from './event-log.ts'
import { befalls, type FaultKind } from './fault-kinds.ts'
import { startProxies } from './proxies.ts'
import { type Seat, type SeatRoom, seatOf, type TrialPool } from './seat.ts'
import type { Violation } from './statistics.ts'
import type { TrialFault } from './trial-faults.ts'
import type { TrialKind, TrialTypes } from './trial-kind.ts'
import { trialTimers } from './trial-timers.ts'

/** What trials share. */
export interface TrialRoom<T extends TrialTypes> {
  readonly kind: TrialKind<T>
  readonly stage: T['stage']
  readonly pool: TrialPool
  readonly sink: T['sink']
  /** The built library of the workers. */
  readonly library: string
}

/** A trial that is about to begin. */
export interface NewTrial<Plan> {
  readonly plan: Plan
  /** For its history. */
  readonly folder: string
  /** What was made for its workers. */
  readonly given: readonly string[]
}

/** A trial while it runs. */
export interface Trial<Plan> {
  readonly plan: Plan
  readonly folder: string
  readonly files: readonly string[]
  /** Lets the callers begin, and the faults of this trial. */
  go(): void
  /** Ends all workers at once; they are replaced once what it answers is called. */
  powerOff(): Promise<() => void>
  noteFault(kind: FaultKind, detail: string): void
  /** Ends all faults and waits until everything has come to rest. */
  heal(): Promise<void>
  /** Lets the workers go, and looks what they have left behind. */
  finish(): Promise<void>
  /** Gives everything back, whatever has happened. */
  end(): Promise<void>
  /** What hindered the trial itself, or befell a process that nothing was done to. */
  readonly troubles: readonly Violation[]
}

/** Opens a trial: its files, its proxies and its workers. */
export async function openTrial<T extends TrialTypes>(
  { kind: lane, stage, pool, sink, library }: TrialRoom<T>,
  { plan, folder, given }: NewTrial<T['plan']>,
): Promise<Trial<T['plan']>> {
  const driverFile = join(folder, 'driver.jsonl')
  const files = [driverFile]
  const troubles: Violation[] = []
  const log = eventLog<T['event']>(driverFile, 'driver')
  // Every lane has these events too.
  const driver = log as unknown as EventLog<DriverEvent>
  const noteFault: Trial<unknown>['noteFault'] = (kind, detail) => driver.note({ k: 'fault', kind, detail })
  const stopRecording = sink.record(plan as never, log as never)
  const timers = trialTimers()
  // What has met no traffic has not happened.
  const proxies = await startProxies(stage.targets, (kind, times) => noteFault(kind, `fired ${times} times`))
  const address = stage.address(proxies.ports, plan)
  const room: SeatRoom = {
    pool,
    folder,
    order: { do: 'open', plan, address, sinkPort: sink.port, library, given },
    emptyMs: plan.emptyMs,
    after: timers.after,
    onOpening: (file) => void files.push(file),
    onTrouble(rule, message) {
      troubles.push({ rule, message })
      driver.note({ k: 'trouble', rule, message })
    },
  }
  const seats = Array.from({ length: plan.workers }, (_, worker) => seatOf(room, worker))
  const everySeat = <R>(act: (seat: Seat) => Promise<R>) => Promise.all(seats.map(act))
  const strike = (fault: TrialFault) => {
    const { kind, worker, forMs } = fault
    if (befalls(kind) === 'connection') {
      proxies.strike(fault)
      timers.after(forMs, () => void proxies.heal())
    } else if (seats[worker]?.strike(fault)) {
      driver.note({ k: 'fault', kind, worker, detail: `${Math.round(forMs)} ms` })
    }
  }
  await everySeat((seat) => seat.fill())

  return {
    plan,
    folder,
    files,
    troubles,
    go() {
      const now = performance.now()
      for (const seat of seats) seat.go(now)
      for (const fault of plan.faults) timers.after(fault.at, () => strike(fault))
    },
    async powerOff() {
      const backOn = await everySeat((seat) => seat.powerOff())
      return () => {
        for (const on of backOn) on()
      }
    },
    noteFault,
    async heal() {
      timers.end()
      await proxies.heal()
      // The start of a process is no part of what is measured from here on.
      await everySeat((seat) => seat.ready())
      driver.note({ k: 'heal' })
      const watched = lane.watch?.({ stage, plan, sink, log })
      await everySeat((seat) => seat.settle())
      await watched?.()
      await lane.settle?.({ stage, plan, sink, log })
    },
    async finish() {
      await everySeat((seat) => seat.finish())
      await lane.look({ stage, plan, sink, log })
    },
    async end() {
      timers.end()
      await everySeat((seat) => seat.leave(troubles.length === 0))
      await proxies.stop()
      stopRecording()
      log.close()
    },
  }
}
