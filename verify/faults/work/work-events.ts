import type { DriverEvent, EventLog, Noted, Timed } from '../harness/event-log.ts'

/** One line of a history: when (in ms on the machine's monotonic clock, when its process knew of it), who, what. */
export type WorkEvent = DriverEvent | (Timed & Own)

type Own =
  | { readonly k: 'start'; readonly worker: number; readonly life: number; readonly leaseMs: number }
  /** The process ends itself at this point. */
  | { readonly k: 'crash'; readonly point: string }
  /** Something did not come to rest in time. */
  | { readonly k: 'unsettled'; readonly what: string }
  /** What followed the heal took so long until it came to rest. */
  | { readonly k: 'settled'; readonly ms: number }
  /** A call begins; its end is `answered` or `failed`, if its process lives to see it. */
  | ({ readonly k: 'asked'; readonly call: string; readonly probe?: boolean } & Asked)
  /** `value` is what it answered, as text; `id` what it was about, where that was not known before. */
  | {
      readonly k: 'answered'
      readonly call: string
      readonly outcome: string
      readonly value?: string
      readonly id?: string
    }
  /** `own` where the work under it threw. Without a code it is no error of the library. */
  | {
      readonly k: 'failed'
      readonly call: string
      readonly message: string
      readonly code?: string
      readonly effect?: string
      readonly own?: boolean
    }
  /** The world outside was changed, once for each line. */
  | {
      readonly k: 'effect'
      readonly item: string
      readonly call: string
      readonly attempt: number
      readonly fence: number
    }
  /** The work that a token was redeemed for began. */
  | { readonly k: 'began'; readonly call: string; readonly item: string }
  /** The library tells of a call that failed and is made again. */
  | { readonly k: 'trouble'; readonly message: string }
  /** A worker of tasks tells what it has done. */
  | { readonly k: 'notice'; readonly type: string; readonly id: string; readonly attempt: number }
  /** The broker was given a message; `at` in ms since the epoch. */
  | {
      readonly k: 'delivered'
      readonly id: string
      readonly body: string
      readonly by: string
      readonly attempt: number
      readonly at: number
    }
  /** An event has left the outbox, as a trigger of the database has seen it. */
  | { readonly k: 'ended'; readonly id: string; readonly attempt: number; readonly at: number }
  /** What the tables hold in the end. */
  | { readonly k: 'row'; readonly call: string; readonly item: string }
  | { readonly k: 'inbox-row'; readonly message: string; readonly call: string }
  | { readonly k: 'order'; readonly item: string; readonly status: string; readonly ending: string }
  | { readonly k: 'stock'; readonly item: string; readonly left: number; readonly version: number }
  | { readonly k: 'payment'; readonly item: string; readonly call: string }
  | TaskRow
  | TaskChange

/** What a call is about. */
export type Asked =
  | { readonly about: 'consume' | 'redeem'; readonly item: string }
  /** A task is created for an external id. `tx`: with a row, in a transaction of the caller. */
  | { readonly about: 'create'; readonly item: string; readonly tx: boolean }
  | { readonly about: 'cancel'; readonly item: string }
  /** A row and an event are written in a transaction, which is to be committed, or not. */
  | { readonly about: 'write'; readonly item: string; readonly commits: boolean }
  /** Items are looked at: by whoever asks, or by a sight that has a name and may be asked about again. */
  | {
      readonly about: 'sight'
      readonly items: readonly string[]
      readonly windowMs: number
      readonly name?: string
    }
  | { readonly about: 'forget'; readonly items: readonly string[] }
  /** A guard of a row is asked in a transaction, which is to be committed, or not. */
  | { readonly about: 'guard'; readonly item: string; readonly commits: boolean }
  /** Messages are taken through the inbox. */
  | { readonly about: 'take'; readonly items: readonly string[] }

/** A task as its table has it in the end. */
export interface TaskRow {
  readonly k: 'task'
  readonly id: string
  readonly item: string
  readonly state: string
  readonly attempt: number
  readonly onCrash: string
  readonly result: string
  readonly history: readonly { readonly event: string; readonly attempt: number; readonly note?: string }[]
}

/** A change of a task's state, attempt or owner, as a trigger of the database has seen it. */
export interface TaskChange {
  readonly k: 'change'
  readonly n: number
  readonly id: string
  /** Empty where the task was created. */
  readonly from: string
  readonly to: string
  readonly fromAttempt: number
  readonly toAttempt: number
  readonly fence: number
  /** Until when the attempt before had a lease, and when this happened, in ms on the clock of the database. */
  readonly leaseUntil: number
  readonly at: number
}

/** One kind of event. */
export type WorkEventOf<K extends WorkEvent['k']> = Extract<WorkEvent, { readonly k: K }>

/** One event before its time is noted. */
export type NotedWork = Noted<WorkEvent>

/** Appends to one file of a history. */
export type WorkHistory = EventLog<WorkEvent>
