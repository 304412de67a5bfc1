import type { Statistics } from './history.ts'

/** The least that a campaign must have seen, for each thousand seeds: below it, its silence means nothing. */
export const FLOORS: Readonly<Partial<Record<keyof Statistics, number>>> = {
  effects: 1000,
  answers: 500,
  replays: 1000,
  settledByProbe: 800,
  takeovers: 40,
  helds: 100,
  forgotten: 40,
  reconciled: 40,
  staleWrites: 200,
  lostRequests: 400,
  lostReplies: 250,
  lateRequests: 200,
  crashes: 200,
  pauses: 200,
  lostTails: 40,
  abortedSignals: 40,
  skippedSteps: 30,
  reusedKeys: 100,
  // The documented limits show: rerun repeats effects, and so does a failover that loses its tail.
  doubleEffects: 5,
  doubleEffectsByFailover: 10,
}

/** Campaigns shorter than this many seeds are too short to be held to the floors. */
export const LEAST_SEEDS = 1000

/** Tells what a campaign has seen too little of. */
export function belowFloors(statistics: Statistics, seeds: number): string[] {
  if (seeds < LEAST_SEEDS) return []
  return Object.entries(FLOORS).flatMap(([name, each]) => {
    const least = Math.floor((each * seeds) / 1000)
    const seen = statistics[name as keyof Statistics]
    return seen < least ? [`only ${seen} ${name} in ${seeds} seeds, at least ${least} are expected`] : []
  })
}
