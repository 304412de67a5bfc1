import type { EngineModules } from './engine.ts'
import { type HistoryEvent, type Noted, noStatistics, type Statistics } from './history.ts'
import type { Plan } from './plan.ts'
import { createPrng, type Prng } from './prng.ts'
import { createScheduler, type Scheduler } from './scheduler.ts'
import { type SimNetwork, simNetwork } from './sim-network.ts'
import type { Incarnation } from './sim-process.ts'
import { type SimStore, simStore } from './sim-store.ts'

/** One effect, as the sink keeps it. */
export interface SunkEffect {
  readonly op: string
  readonly part: string
  readonly value: string
}

/** A run of some work that may still have an effect. */
export interface LiveRun {
  readonly op: string
  readonly process: Incarnation
  readonly careful: boolean
}

/** Everything that one simulated run shares. */
export interface World {
  readonly plan: Plan
  readonly engine: EngineModules
  readonly scheduler: Scheduler
  readonly prng: Prng
  readonly store: SimStore
  readonly network: SimNetwork
  readonly statistics: Statistics
  readonly history: HistoryEvent[]
  readonly sink: SunkEffect[]
  readonly liveRuns: Map<number, LiveRun>
  note(event: Noted): void
  nextCall(): number
  nextRun(): number
  nextEffect(): number
}

/** Makes the world in which a plan is carried out. */
export function createWorld(plan: Plan, engine: EngineModules): World {
  const scheduler = createScheduler()
  const statistics = noStatistics()
  const history: HistoryEvent[] = []
  const note = (event: Noted) => {
    history.push({ at: scheduler.now(), ...event } as HistoryEvent)
  }
  const store = simStore(engine, scheduler, note, statistics)
  let calls = 0
  let runs = 0
  let effects = 0
  return {
    plan,
    engine,
    scheduler,
    prng: createPrng(plan.network.seed ^ 0x2545f491),
    store,
    network: simNetwork(plan.network, plan.leaseMs, scheduler, store, statistics),
    statistics,
    history,
    sink: [],
    liveRuns: new Map(),
    note,
    nextCall: () => ++calls,
    nextRun: () => ++runs,
    nextEffect: () => ++effects,
  }
}
