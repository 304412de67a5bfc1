import { backOffMs } from './back-off.ts'
import { jittered } from './jittered.ts'
import { Later } from './later.ts'
import type { OperationId, Outcome } from './operation.ts'
import type { KnownOutcome } from './outcome-cache.ts'
import type { Engine } from './settings.ts'
import type { ClaimReply } from './store.ts'

/** What the callers of one key in this process share, while there are any. */
export class Room {
  /** The work that runs in this process. */
  running: LocalRun | undefined
  /** A question under way to the store. */
  asking: Question | undefined
  /** A wait for a change made elsewhere. */
  watching: Promise<void> | undefined
  /** A question under way to `reconcile`; tells whether the operation was settled. */
  reconciling: Promise<boolean> | undefined
  /** How often it was looked whether anything changed. */
  looks = 0
  callers = 0
}

/** Work that runs in this process; its end is what duplicates may be told, if anything. */
export interface LocalRun {
  readonly fingerprint: string | undefined
  readonly ended: Later<KnownOutcome | undefined>
}

/** A question that the callers of a room share. */
export interface Question {
  readonly fingerprint: string | undefined
  readonly answered: Later<Answered>
}

/** What one caller's question led to: `claimed` tells that `running` is set. */
export type Answered =
  | { readonly reply: 'claimed' | Exclude<ClaimReply, { state: 'claimed' }> }
  | { readonly error: unknown }

/** The rooms of an instance: one for each key that has callers now. */
export interface Rooms {
  enter(digest: string): Room
  leave(digest: string): void
  /** Resolves when nobody calls any more. */
  idle(): Promise<void>
}

/** Makes an empty house. */
export function createRooms(): Rooms {
  const rooms = new Map<string, Room>()
  let emptied: Later<undefined> | undefined
  return {
    enter(digest) {
      const room = rooms.get(digest) ?? new Room()
      if (room.callers++ === 0) rooms.set(digest, room)
      return room
    },
    leave(digest) {
      const room = rooms.get(digest)
      if (!room || --room.callers > 0) return
      rooms.delete(digest)
      if (rooms.size > 0) return
      emptied?.settle(undefined)
      emptied = undefined
    },
    async idle() {
      while (rooms.size > 0) {
        emptied ??= new Later()
        await emptied.wait()
      }
    },
  }
}

/**
 * Asks a question that all callers of the room share. What the question sets in the room (a run) is there before
 * anybody learns of the answer, so that nobody asks in between.
 */
export async function ask<A extends { readonly reply: Extract<Answered, { reply: unknown }>['reply'] }>(
  room: Room,
  fingerprint: string | undefined,
  question: () => Promise<A>,
): Promise<A> {
  const asking: Question = { fingerprint, answered: new Later() }
  room.asking = asking
  try {
    const answer = await question()
    asking.answered.settle(answer)
    return answer
  } catch (error) {
    asking.answered.settle({ error })
    throw error
  } finally {
    room.asking = undefined
  }
}

/** How long to wait before looking again, in ms: soon at first, for a change between the question and the watch. */
const LOOK_AGAIN_MS = { pushed: { initialMs: 10, maxMs: 1000 }, polled: { initialMs: 5, maxMs: 100 } }

/**
 * Waits until the record may have changed: the store says so, the claim found has lapsed, or it is time to look again.
 * All callers of a room share one wait.
 */
export function watch(engine: Engine, room: Room, id: OperationId, remainingMs: number): Promise<void> {
  room.watching ??= new Promise((resolve) => {
    const { store, timers, random } = engine
    const pace = store.watch && store.capabilities.push ? LOOK_AGAIN_MS.pushed : LOOK_AGAIN_MS.polled
    const lookAgainMs = jittered(random, backOffMs(pace, room.looks++), 0.25)
    const controller = new AbortController()
    const end = () => {
      room.watching = undefined
      controller.abort()
      cancel()
      resolve()
    }
    const cancel = timers.after(Math.max(1, Math.min(lookAgainMs, remainingMs + 1)), end, {
      background: true,
    })
    store.watch?.(id, controller.signal).then(end, end)
  })
  return room.watching
}

/** What duplicates in this process may be told of an outcome that was stored just now. */
export function known(
  engine: Engine,
  outcome: Outcome,
  fingerprint: string | undefined,
  remainingMs: number,
): KnownOutcome {
  return { outcome, fingerprint, expiresAt: engine.clock.monotonic() + remainingMs }
}
