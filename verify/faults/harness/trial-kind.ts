import type { Target } from '../backend.ts'
import type { EventLog, Timed } from './event-log.ts'
import type { Floors, Verdict, Violation } from './statistics.ts'
import type { TrialFault, TrialFaultKind } from './trial-faults.ts'

/** What every plan of a trial has. */
export interface TrialPlan {
  readonly seed: number
  readonly leaseMs: number
  /** How long an answer of the store is waited for. */
  readonly timeoutMs: number
  /** For how long faults happen. */
  readonly activeMs: number
  readonly workers: number
  /** Of workers and connections; those of the server are drawn for a round. */
  readonly faults: readonly TrialFault[]
}

/** What does not come from the seed. */
export interface PlanSetting {
  readonly run: string
  readonly faults: readonly TrialFaultKind[]
  /** How much longer leases are than 300 to 500 ms. */
  readonly pace: number
}

/** A store that trials run on, with its server, as the driver holds it. */
export interface TrialStage {
  /** As the command line names it. */
  readonly name: string
  /** What can go wrong here. */
  readonly faults: readonly TrialFaultKind[]
  /** What a worker reaches through a proxy of its trial. */
  readonly targets: readonly Target[]
  /** Where a worker finds it; it travels between processes. */
  address(ports: readonly number[], seed: number, timeoutMs: number): unknown
  /** Lets a fault of the server begin; resolves when it has begun. */
  strike(fault: TrialFault): Promise<void>
  /** Ends it; resolves when the server answers again. */
  heal(): Promise<void>
  stop(): Promise<void>
}

/** The world outside, as the driver holds it. */
export interface TrialSink<Plan, Event> {
  readonly port: number
  /** Writes what befalls a trial to its log, until the answer is called. */
  record(plan: Plan, log: EventLog<Event>): () => void
  stop(): Promise<void>
}

/** A trial that has come to its heal, as its driver sees it. */
export interface Ground<Stage, Plan, Event, Sink> {
  readonly stage: Stage
  readonly plan: Plan
  readonly sink: Sink
  readonly log: EventLog<Event>
}

/** What is tried: what differs from lane to lane, beside what their workers do. */
export interface TrialKind<
  Stage extends TrialStage,
  Plan extends TrialPlan,
  Event extends Timed,
  Sink extends TrialSink<Plan, Event>,
> {
  makePlan(seed: number, stage: Stage, setting: PlanSetting): Plan
  /** Makes what the workers are given. */
  prepare?(stage: Stage, plan: Plan): Promise<readonly string[]>
  /** After the heal, when the callers have ended: waits until everything has come to rest, and notes what has not. */
  settle?(ground: Ground<Stage, Plan, Event, Sink>): Promise<void>
  /** When the workers have gone: notes what they have left behind. */
  look(ground: Ground<Stage, Plan, Event, Sink>): Promise<void>
  judge(events: readonly Event[], troubles: readonly Violation[]): Verdict
  readonly floors: Floors
  /** Rules that tell what hindered a trial, not what the library has broken: a mutant must not seem killed by that. */
  readonly hindrances: readonly string[]
}
