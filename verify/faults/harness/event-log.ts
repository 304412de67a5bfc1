import { closeSync, openSync, readFileSync, writeSync } from 'node:fs'
import type { FaultKind } from './fault-kinds.ts'

/** What every line has: when it was written (in ms on the machine's monotonic clock), and by whom. */
export interface Timed {
  readonly t: number
  readonly w?: string
}

/** What the driver of a trial writes, whatever is tried. */
export type DriverEvent = Timed &
  /** A fault happened; `worker` where it befell one. */
  (
    | {
        readonly k: 'fault'
        readonly kind: FaultKind
        readonly worker?: number
        readonly detail?: string
      }
    /** All faults have ended; from now on everything has to settle. */
    | { readonly k: 'heal' }
    /** What hindered the trial itself, or befell a process that nothing was done to. */
    | { readonly k: 'trouble'; readonly rule: string; readonly message: string }
  )

/** One event before its time is noted. */
export type Noted<E> = E extends Timed ? Omit<E, 't' | 'w'> : never

/** Appends to one file of a history. */
export interface EventLog<E> {
  /** Returns when the line is with the operating system, so that it survives the end of this process. */
  note(event: Noted<E>): void
  close(): void
}

/** The machine's monotonic clock in ms, which all processes share. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint() / 1000n) / 1000
}

/** Opens a history file for appending. */
export function eventLog<E>(file: string, who: string): EventLog<E> {
  const open = openSync(file, 'a')
  let closed = false
  return {
    note(event) {
      // Work that was left behind may end after its trial; the number of a closed file may be another file's by then.
      if (!closed) writeSync(open, `${JSON.stringify({ t: monotonicMs(), w: who, ...event })}\n`)
    },
    close() {
      if (!closed) closeSync(open)
      closed = true
    },
  }
}

/** Reads history files; a last line that its process did not finish is dropped. */
export function readEvents<E extends Timed>(files: readonly string[]): E[] {
  return files
    .flatMap((file) =>
      readFileSync(file, 'utf8')
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line) as E),
    )
    .sort((a, b) => a.t - b.t)
}
