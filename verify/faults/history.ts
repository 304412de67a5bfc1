import type { DriverEvent, Noted as NotedEvent, Timed } from './harness/event-log.ts'

/**
 * One line of a history. `t` is ms on the machine's monotonic clock, which all processes share; a process writes a line
 * when it knows of it, so between two processes only intervals can be compared, never single lines.
 */
export type HistoryEvent = DriverEvent | (Timed & Own)

type Own =
  | { readonly k: 'start'; readonly worker: number; readonly life: number; readonly pid: number }
  /** A caller asks. */
  | {
      readonly k: 'invoke'
      readonly call: string
      readonly op: string
      readonly input: number
      readonly probe: boolean
    }
  /** It got a value, written as JSON. */
  | {
      readonly k: 'answer'
      readonly call: string
      readonly how: 'executed' | 'replayed'
      readonly value: string
    }
  /** It got an error: `code` and `effect` are absent where it is the work's own. */
  | {
      readonly k: 'error'
      readonly call: string
      readonly message: string
      readonly code?: string
      readonly effect?: string
      readonly own: boolean
    }
  /** The work of a call begins, and ends. */
  | {
      readonly k: 'begin'
      readonly call: string
      readonly op: string
      readonly fence: number
      readonly attempt: number
      readonly takenOver: boolean
    }
  | { readonly k: 'end'; readonly call: string; readonly fence: number; readonly threw?: string }
  /** The sink has acknowledged an effect, or refused it as stale. */
  | { readonly k: 'acked'; readonly call: string; readonly nonce: string; readonly first: boolean }
  | { readonly k: 'stale'; readonly call: string; readonly op: string; readonly fence: number }
  /** One call of the store and its answer, as this process saw it: sent at `sent`, answered at `t`. */
  | {
      readonly k: 'store'
      readonly sent: number
      readonly method: string
      readonly op: string
      readonly owner?: string
      readonly fence?: number
      readonly state?: string
      readonly takenOver?: boolean
      readonly applied?: boolean
      readonly error?: string
    }
  /** A transaction ended: committed, or not as far as this process knows. */
  | {
      readonly k: 'transaction'
      readonly sent: number
      readonly op: string
      readonly fence?: number
      readonly committed: boolean
    }
  /** Somebody was asked about a held operation. */
  | { readonly k: 'told'; readonly op: string; readonly fence: number; readonly answer: string }
  /** The longest time this process did not get to run, or the driver waited for the store, since the heal and in its whole life, in ms. */
  | { readonly k: 'lag'; readonly ms: number; readonly lifeMs: number }
  /** A process did not end its calls in time. */
  | { readonly k: 'unsettled'; readonly worker: number; readonly calls: readonly string[] }
  /** The sink wrote down an effect. `n` counts from 1 in the order of the effects. */
  | {
      readonly k: 'sunk'
      readonly n: number
      readonly op: string
      readonly part: string
      readonly call: string
      readonly worker: number
      readonly fence: number
      readonly attempt: number
      readonly input: number
      readonly nonce: string
    }
  /** What the store holds in the end. */
  | {
      readonly k: 'record'
      readonly op: string
      readonly state: string
      readonly fence: number
      readonly attempt: number
      readonly value?: string
      readonly heldReason?: string
      /** In how many ms somebody may be asked about it. */
      readonly mayAskInMs: number
      readonly events: readonly {
        readonly at: number
        readonly event: string
        readonly fence: number
        readonly note?: string
      }[]
    }
  /** A record that the store has, and cannot read. */
  | { readonly k: 'unreadable'; readonly op: string; readonly message: string }
  | { readonly k: 'audit'; readonly op: string; readonly fence: number; readonly as: string }
  /** A business row that a transaction wrote. */
  | {
      readonly k: 'row'
      readonly op: string
      readonly call: string
      readonly fence: number
      readonly nonce: string
    }
  /** The sum over the accounts of a trial, of which each business row moves two by one. */
  | { readonly k: 'sum'; readonly sum: number }

/** One kind of event. */
export type EventOf<K extends HistoryEvent['k']> = Extract<HistoryEvent, { readonly k: K }>

/** One event before its time is noted. */
export type Noted = NotedEvent<HistoryEvent>
