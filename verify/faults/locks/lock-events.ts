import type { DriverEvent, EventLog, Noted, Timed } from '../harness/event-log.ts'

/** One line of the history of a trial with locks: when (in ms on the machine's monotonic clock), who, what. */
export type LockEvent = DriverEvent | (Timed & Own)

type Own =
  | { readonly k: 'start'; readonly worker: number; readonly life: number }
  /** A call begins to ask for a lock. `probe` calls come after the heal and must be served. */
  | {
      readonly k: 'asked'
      readonly call: string
      readonly key: string
      readonly how: How
      readonly probe: boolean
    }
  /** It was granted. From `from` on it counted on the lease until `until`. */
  | ({ readonly k: 'got'; readonly call: string; readonly key: string; readonly fence: number } & Belief)
  /** It was not granted: held by another, or failed. */
  | {
      readonly k: 'none'
      readonly call: string
      readonly probe: boolean
      readonly code?: string
      readonly effect?: string
      readonly message?: string
    }
  /** The lease was still counted on. */
  | ({ readonly k: 'holds'; readonly call: string } & Belief)
  /** The signal of the lease has aborted. */
  | { readonly k: 'lost'; readonly call: string }
  /** The lease is about to be given back, and what came of it. */
  | { readonly k: 'leaving'; readonly call: string }
  | { readonly k: 'left'; readonly call: string; readonly how: string }
  /** `using` did not answer what the work under it answered. */
  | { readonly k: 'masked'; readonly call: string; readonly message: string }
  /** The longest time a process did not get to run since the heal, in ms. */
  | { readonly k: 'lag'; readonly ms: number }
  /** Calls that did not end. */
  | { readonly k: 'unsettled'; readonly worker: number; readonly calls: readonly string[] }
  /** A request to the fenced resource, in the order in which the resource decided. */
  | {
      readonly k: 'sunk'
      readonly key: string
      readonly call: string
      readonly op: 'read' | 'write'
      readonly fence: number
      readonly accepted: boolean
      /** What was read, or written, and what the resource held before. */
      readonly value: number
      readonly before: number
    }
  /** Who still held or waited when everybody had gone. */
  | { readonly k: 'residue'; readonly key: string; readonly holders: number; readonly waiting: number }

/** How a lock is asked for. */
export type How = 'acquire' | 'try' | 'using'

/** At some moment between `from` and the time of the event, a process was told that it may count on its lease until `until`. */
export interface Belief {
  readonly from: number
  readonly until: number
}

/** One kind of event. */
export type LockEventOf<K extends LockEvent['k']> = Extract<LockEvent, { readonly k: K }>

/** One event before its time is noted. */
export type NotedLock = Noted<LockEvent>

/** Appends to one file of a history. */
export type LockHistory = EventLog<LockEvent>
