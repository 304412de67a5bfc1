import type { Clock, Random, Timers } from '../core/clock.ts'
import { OncewardError } from '../core/errors.ts'
import { jittered } from '../core/jittered.ts'
import { createWaitingRoom } from '../core/waiting-room.ts'
import type { ChangeHints } from '../drivers/database/index.ts'
import { ID_FIELDS } from './change-statements.ts'
import { rareTell } from './rare-tell.ts'
import { rowsOf, type TaskLedger } from './task-ledger.ts'
import { stateOf, text } from './task-record.ts'

/** The pauses between two looks at the tasks that somebody waits for, in ms. */
const MIN_PAUSE_MS = 10
const MAX_PAUSE_MS = 250

/** What waiting needs. */
export interface WatchParts {
  readonly ledger: TaskLedger
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  /** Tells that tasks have ended. */
  readonly results: ChangeHints
}

/** Those who wait for tasks to end. */
export interface ResultWatch {
  /** Resolves when the task may have ended, or when `signal` aborts. */
  wait(id: string, signal: AbortSignal): Promise<void>
  /** Tasks have ended, in this process: wakes who waits here, and tells the others. */
  ended(ids: readonly string[]): void
  close(): void
}

/** One poller for all who wait in this instance; it looks while somebody waits, and at once when it is told. */
export function resultWatch({ ledger, clock, timers, random, results }: WatchParts): ResultWatch {
  const room = createWaitingRoom()
  const waiting = new Map<string, number>()
  let cancelTimer: (() => void) | undefined
  let listening: { stop(): void } | undefined
  let pauseMs = MIN_PAUSE_MS
  let looking = false
  let closed = false

  const look = async () => {
    cancelTimer?.()
    cancelTimer = undefined
    if (looking || waiting.size === 0 || closed) return
    looking = true
    try {
      const ids = [...waiting.keys()].map((id) => ({ id }))
      const { rows } = await ledger.database.read({
        statement: ledger.reads.states,
        values: rowsOf(ledger, ID_FIELDS, ids),
      })
      const open = new Set<string>()
      for (const row of rows) {
        const state = stateOf(text(row, 'state'))
        if (state === 'pending' || state === 'running') open.add(text(row, 'id'))
      }
      for (const { id } of ids) if (!open.has(id)) room.wake(id)
    } catch {
      // Whoever waits asks for itself, and hears what is wrong.
      room.wakeAll()
    }
    looking = false
    pauseMs = Math.min(MAX_PAUSE_MS, pauseMs * 1.5)
    schedule()
  }
  const schedule = () => {
    if (waiting.size > 0 && !looking && !closed)
      cancelTimer ??= timers.after(jittered(random, pauseMs, 0.2), () => void look())
  }
  const tell = rareTell(results, { clock, timers })

  return {
    async wait(id, signal) {
      if (signal.aborted || closed) return
      waiting.set(id, (waiting.get(id) ?? 0) + 1)
      listening ??= results.listen(() => void look())
      pauseMs = MIN_PAUSE_MS
      schedule()
      await room.wait(id, signal)
      const left = (waiting.get(id) ?? 1) - 1
      if (left > 0) waiting.set(id, left)
      else waiting.delete(id)
      if (waiting.size > 0) return
      cancelTimer?.()
      cancelTimer = undefined
      listening?.stop()
      listening = undefined
    },
    ended(ids) {
      for (const id of ids) room.wake(id)
      if (!closed) tell()
    },
    close() {
      closed = true
      cancelTimer?.()
      listening?.stop()
      room.wakeAll()
    },
  }
}

/** The error of one who stopped waiting. */
export function stoppedWaiting(signal: AbortSignal): OncewardError {
  return new OncewardError('ABORTED', 'the caller stopped waiting for the task; it goes on', {
    cause: signal.reason,
  })
}
