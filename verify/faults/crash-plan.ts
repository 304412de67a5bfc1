import type { Fault, FaultPlan, FaultPoint } from 'onceward/testing'
import type { CrashPoint, Disturbances, PlannedCallFault } from './plan-faults.ts'
import type { Note } from './tap.ts'

/** What goes wrong inside one worker. */
export interface CrashPlan {
  /** For `faultPoints`. */
  readonly store: FaultPlan
  /** Is called where the work passes a point. */
  reach(point: CrashPoint): void
  /** Lets nothing more go wrong; what hangs fails. */
  heal(): void
}

/** Makes of a worker's share of a plan what its store and its work are wrapped with. */
export function crashPlan(plan: Disturbances, worker: number, life: number, note: Note): CrashPlan {
  const passed = new Map<CrashPoint, number>()
  const hanging = new Set<() => void>()
  let healed = false
  const crash = (point: CrashPoint, pauseMs: number | undefined) => {
    if (healed) return
    if (pauseMs !== undefined) {
      note({ k: 'fault', kind: 'pause-point', worker, detail: `${point} for ${pauseMs} ms` })
      // Timers, heartbeats and replies stand still with it.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, pauseMs)
      return
    }
    note({ k: 'fault', kind: 'crash-point', worker, detail: point })
    process.kill(process.pid, 'SIGKILL')
  }
  const callFault = async ({ kind, point, ms }: PlannedCallFault): Promise<void> => {
    if (healed) return
    note({ k: 'fault', kind, worker, detail: point })
    if (kind === 'call-delayed') await new Promise((resolve) => setTimeout(resolve, ms))
    else if (kind === 'call-hangs') await new Promise<void>((resolve) => hanging.add(resolve))
    if (kind !== 'call-delayed') throw connectionLost(point)
  }

  // Only the first life of a worker is disturbed from within, or none would ever end its work.
  const own = <T extends { readonly worker: number }>(all: readonly T[]) =>
    life === 0 ? all.filter((one) => one.worker === worker) : []
  const crashes = own(plan.crashes)
  const store: Record<string, (Fault | undefined)[]> = {}
  const put = (point: FaultPoint, nth: number, fault: Fault) => {
    store[point] ??= []
    store[point][nth - 1] ??= fault
  }
  for (const { point, nth, pauseMs } of crashes) {
    if (isStorePoint(point)) put(point, nth, { do: 'run', run: () => crash(point, pauseMs) })
  }
  for (const fault of own(plan.callFaults))
    put(fault.point, fault.nth, { do: 'run', run: () => callFault(fault) })
  return {
    store: store as FaultPlan,
    reach(point) {
      const times = (passed.get(point) ?? 0) + 1
      passed.set(point, times)
      const planned = crashes.find((one) => one.point === point && one.nth === times)
      if (planned) crash(point, planned.pauseMs)
    },
    heal() {
      healed = true
      for (const end of hanging) end()
      hanging.clear()
    },
  }
}

function isStorePoint(point: CrashPoint): point is FaultPoint {
  return !/^(?:work|step|transaction):/.test(point)
}

function connectionLost(point: FaultPoint): Error {
  return Object.assign(new Error(`the connection was lost at ${point}`), { code: 'ECONNRESET' })
}
