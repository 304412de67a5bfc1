import { availableParallelism, loadavg } from 'node:os'

/** The slowest pace: a machine that is busier than this is too busy to tell anything. */
const SLOWEST_PACE = 6

/** How much longer everything takes than on a quiet machine, where two processes may want each processor. */
export function paceOf(load: number, processors: number): number {
  const pace = Math.min(SLOWEST_PACE, Math.max(1, load / (processors * 2)))
  return Math.round(pace * 10) / 10
}

/** The pace of this machine now. */
export function paceNow(): number {
  return paceOf(loadavg()[0] ?? 0, availableParallelism())
}
