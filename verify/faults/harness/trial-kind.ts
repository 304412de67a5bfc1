import type { Prng } from '../../simulation/prng.ts'
import type { EventLog, Timed } from './event-log.ts'
import type { FaultKind } from './fault-kinds.ts'
import type { CampaignFigures, Tally, Violation } from './statistics.ts'
import type { FaultTime, TrialFault } from './trial-faults.ts'

/** What every plan of a trial has. */
export interface TrialPlan {
  readonly seed: number
  readonly leaseMs: number
  /** How long an answer of the store is waited for. */
  readonly timeoutMs: number
  /** For how long faults happen. */
  readonly activeMs: number
  readonly workers: number
  /** How long the place of a process that has ended itself stays empty, in ms. */
  readonly emptyMs: number
  /** Of workers and connections; those of the server are drawn for a round. */
  readonly faults: readonly TrialFault[]
}

/** What does not come from the seed. */
export interface PlanSetting {
  /** Keeps what belongs to this run apart from that of others on the same store. */
  readonly run: string
  readonly faults: readonly FaultKind[]
  /** How much longer leases are than 300 to 500 ms. */
  readonly pace: number
}

/** Something that listens. */
export interface Target {
  readonly host: string
  readonly port: number
}

/** What of a plan an address depends on. */
export interface AddressShape {
  readonly seed: number
  readonly timeoutMs: number
}

/** For the driver's own look at a store. */
export const PATIENT: AddressShape = { seed: 0, timeoutMs: 10_000 }

/** A store that trials run on, with its server, as the driver holds it. */
export interface TrialStage {
  /** As the command line names it. */
  readonly name: string
  /** What can go wrong here. */
  readonly faults: readonly FaultKind[]
  /** What a worker reaches through a proxy of its trial; empty for a store without a network. */
  readonly targets: readonly Target[]
  /** The store's power is that of the workers' machine: they die with it. */
  readonly isOnWorkersMachine?: boolean
  /** Where a worker finds it; it travels between processes. `ports` are those of the proxies, one for each target. */
  address(ports: readonly number[], shape: AddressShape): unknown
  /** Lets a fault of the server begin; resolves when it has begun. */
  strike(fault: TrialFault): Promise<void>
  /** Ends it; resolves when the server answers again. */
  heal(): Promise<void>
  /** Begins with an empty store: what earlier trials left behind would slow down later ones. */
  renew?(): Promise<void>
  stop(): Promise<void>
}

/** The world outside, as the driver holds it. */
export interface TrialSink<Plan, Event> {
  readonly port: number
  /** Writes what befalls a trial to its log, until the answer is called. */
  record(plan: Plan, log: EventLog<Event>): () => void
  stop(): Promise<void>
}

/** All that differs in type from one kind of trial to the other. */
export interface TrialTypes {
  readonly stage: TrialStage
  readonly plan: TrialPlan
  readonly event: Timed
  readonly sink: TrialSink<never, never>
  readonly verdict: { readonly violations: readonly Violation[] }
  readonly statistics: CampaignFigures
}

/** A trial that has come to its heal, as its driver sees it. */
export interface Ground<T extends TrialTypes> {
  readonly stage: T['stage']
  readonly plan: T['plan']
  readonly sink: T['sink']
  readonly log: EventLog<T['event']>
}

/** What a trial has left behind. */
export interface Remains<T extends TrialTypes> {
  readonly stage: T['stage']
  readonly plan: T['plan']
  readonly history: readonly T['event'][]
  /** What hindered the trial itself, or befell a process that nothing was done to. */
  readonly troubles: readonly Violation[]
}

/** What is tried: what differs from lane to lane, beside what their workers do. */
export interface TrialKind<T extends TrialTypes> {
  makePlan(seed: number, stage: T['stage'], setting: PlanSetting): T['plan']
  /** Makes what the workers are given. */
  prepare?(stage: T['stage'], plan: T['plan']): Promise<readonly string[]>
  /** Draws what befalls the server that a round of trials shares. Default: two faults at most, in three rounds of four. */
  drawServerFaults?(prng: Prng, kinds: readonly FaultKind[], time: FaultTime): readonly TrialFault[]
  /** Looks from the heal on how quick the world itself is, until the answer is called, and notes it. */
  watch?(ground: Ground<T>): () => Promise<void>
  /** After the heal, when the callers have ended: waits until everything has come to rest, and notes what has not. */
  settle?(ground: Ground<T>): Promise<void>
  /** When the workers have gone: notes what they have left behind. */
  look(ground: Ground<T>): Promise<void>
  judge(remains: Remains<T>): T['verdict']
  readonly tally: Tally<T['statistics'], T['verdict'], T['plan'], T['event']>
  /** Rules that tell what hindered a trial, not what the library has broken: a mutant must not seem killed by that. */
  readonly hindrances: readonly string[]
}
