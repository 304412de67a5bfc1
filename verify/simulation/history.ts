import type { OperationRecord } from 'onceward'

/** One thing that happened, as an all-seeing observer writes it down. `at` is virtual time in ms. */
export type HistoryEvent = { readonly at: number } & (
  | {
      readonly kind: 'call'
      readonly call: number
      readonly process: number
      readonly op: string
      readonly input: number
      /** A call made after all faults have ended, to see that the operation settles. */
      readonly probe: boolean
    }
  /** The caller got a value. `value` tells it whole. */
  | { readonly kind: 'answer'; readonly call: number; readonly value: string }
  /** The caller got an error. `code` and `effect` are absent when it is the work's own error. */
  | {
      readonly kind: 'error'
      readonly call: number
      readonly message: string
      readonly code?: string
      readonly effect?: string
      /** The error the work itself threw reached the caller. */
      readonly own: boolean
    }
  /** The work of a call starts. */
  | {
      readonly kind: 'begin'
      readonly run: number
      readonly call: number
      readonly op: string
      readonly attempt: number
      readonly fence: number
      readonly takenOver: boolean
    }
  /** The work looked at its signal; `holds` is whether the store, at this moment, would let nobody else in. */
  | { readonly kind: 'signal'; readonly run: number; readonly aborted: boolean; readonly holds: boolean }
  /** Something happened in the world that cannot be taken back. `part` names the step, if it was in one. */
  | {
      readonly kind: 'effect'
      readonly run: number
      readonly call: number
      readonly op: string
      readonly part: string
      readonly fence: number
      /** The value that the work is about to answer. */
      readonly value: string
    }
  | { readonly kind: 'end'; readonly run: number; readonly threw?: string }
  /** The store wrote a record. `expired` tells that `before` had been forgotten. */
  | {
      readonly kind: 'write'
      readonly op: string
      readonly method: string
      readonly storeTime: number
      readonly before?: OperationRecord
      readonly after: OperationRecord
      readonly audited: boolean
    }
  /** Somebody is asked what became of a held operation; then the answer. */
  | {
      readonly kind: 'ask'
      readonly op: string
      readonly fence: number
      readonly asks: number
      readonly process: number
    }
  | { readonly kind: 'told'; readonly op: string; readonly fence: number; readonly answer: string }
  | { readonly kind: 'crash' | 'restart' | 'pause' | 'resume' | 'clock-jump'; readonly process: number }
  | { readonly kind: 'outage' | 'heal' | 'leftover'; readonly detail?: string }
  | { readonly kind: 'failover'; readonly lost: readonly string[] }
  /** A call whose process lives never got an answer. */
  | { readonly kind: 'unsettled'; readonly call: number }
  /** What the store holds at the very end. */
  | { readonly kind: 'final'; readonly op: string; readonly record?: OperationRecord }
)

/** One event before its time is noted. */
export type Noted = HistoryEvent extends infer E
  ? E extends { readonly at: number }
    ? Omit<E, 'at'>
    : never
  : never

/** How often each thing happened that a campaign must have seen to mean anything. */
export interface Statistics {
  calls: number
  messages: number
  effects: number
  answers: number
  replays: number
  takeovers: number
  helds: number
  /** Operations that ran anew after their outcome had been forgotten. */
  forgotten: number
  reconciled: number
  staleWrites: number
  lostRequests: number
  lostReplies: number
  lateRequests: number
  crashes: number
  pauses: number
  lostTails: number
  abortedSignals: number
  skippedSteps: number
  reusedKeys: number
  settledByProbe: number
  /** Effects beyond the first where only rerun, or a lost tail, allows them. */
  doubleEffects: number
  doubleEffectsByFailover: number
}

/** Starts counting. */
export function noStatistics(): Statistics {
  return {
    calls: 0,
    messages: 0,
    effects: 0,
    answers: 0,
    replays: 0,
    takeovers: 0,
    helds: 0,
    forgotten: 0,
    reconciled: 0,
    staleWrites: 0,
    lostRequests: 0,
    lostReplies: 0,
    lateRequests: 0,
    crashes: 0,
    pauses: 0,
    lostTails: 0,
    abortedSignals: 0,
    skippedSteps: 0,
    reusedKeys: 0,
    settledByProbe: 0,
    doubleEffects: 0,
    doubleEffectsByFailover: 0,
  }
}

/** Adds one count to another. */
export function addStatistics(total: Statistics, more: Statistics): void {
  for (const name of Object.keys(total) as (keyof Statistics)[]) total[name] += more[name]
}
