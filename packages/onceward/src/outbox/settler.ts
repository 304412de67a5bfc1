import { jittered } from '../core/jittered.ts'
import { pause } from '../core/pause.ts'
import { type Move, mayHaveHappened, type RelayCalls } from './relay-calls.ts'
import type { Lease } from './relay-leases.ts'
import type { RelaySettings } from './relay-settings.ts'

/** What became of an event: published, or moved on. */
export interface Settlement {
  readonly lease: Lease
  /** Absent: it was published, and is deleted. */
  readonly move?: Move
}

/** Writes what became of events: many in one statement, one statement at a time. */
export interface Settler {
  /** Resolves when it is written, or when it cannot be any more. Those of one call are written in one statement of each kind. */
  settle(settlements: readonly Settlement[]): Promise<void>
  /** Tries no more after this. */
  stop(): void
}

/** The pause before what could not be written is tried again, in ms. */
const RETRY_MS = 200

/** How long what is settled waits for others, in ms. */
const GATHER_MS = 1

/** The most that one statement is given. */
const MAX_AT_ONCE = 2000

/** Makes it. */
export function settler(
  calls: RelayCalls,
  settings: RelaySettings,
  onSettled: (leases: readonly Lease[]) => void,
): Settler {
  const queue: { readonly settlements: readonly Settlement[]; readonly done: () => void }[] = []
  let isBusy = false
  let stopped = false

  /** Writes until it is written, or nothing of it is ours any more. */
  const write = async (
    settlements: readonly Settlement[],
    call: (held: readonly Settlement[]) => Promise<number>,
  ) => {
    let uncertain = false
    for (;;) {
      const held = settlements.filter(({ lease }) => !lease.isLost())
      if (held.length === 0) return
      try {
        const written = await call(held)
        // After an answer that was lost, what is not found may well have been written by us.
        if (written < held.length && !uncertain) {
          settings.emit({ type: 'lost', ids: [] })
        }
        return
      } catch (error) {
        uncertain ||= mayHaveHappened(error)
        settings.emit({ type: 'error', ids: [], error })
        if (stopped) return
      }
      await pause(settings, jittered(settings.random, RETRY_MS))
    }
  }
  const flush = async () => {
    if (isBusy) return
    isBusy = true
    while (queue.length > 0) {
      // Nobody waits for it: what is published in the next moment goes along.
      await pause(settings, GATHER_MS)
      const taken: typeof queue = []
      let count = 0
      while (queue[0] && (count === 0 || count + queue[0].settlements.length <= MAX_AT_ONCE)) {
        const next = queue.shift() as (typeof queue)[number]
        taken.push(next)
        count += next.settlements.length
      }
      const all = taken.flatMap(({ settlements }) => settlements)
      for (const { lease } of all) lease.isSettling = true
      const moved = all.filter(({ move }) => move !== undefined)
      const published = all.filter(({ move }) => move === undefined)
      // In any order: until the last of a key is settled, it stops its lane.
      await write(published, (held) => calls.remove(held.map(({ lease }) => lease.holding)))
      await write(moved, (held) =>
        calls.move(held.map(({ lease, move }) => ({ ...lease.holding, ...(move as Move) }))),
      )
      onSettled(all.map(({ lease }) => lease))
      for (const { done } of taken) done()
    }
    isBusy = false
  }

  return {
    settle: (settlements) =>
      new Promise<void>((resolve) => {
        if (settlements.length === 0) return resolve()
        queue.push({ settlements, done: resolve })
        void flush()
      }),
    stop() {
      stopped = true
    },
  }
}
