import { backOffMs } from './back-off.ts'
import { jittered } from './jittered.ts'
import type { OperationId, Outcome } from './operation.ts'
import type { KnownOutcome } from './outcome-cache.ts'
import type { Engine } from './settings.ts'
import type { ClaimReply } from './store.ts'

/** What the callers of one key in this process share, while there are any. */
export interface Room {
  /** The work that runs in this process; resolves to what duplicates may be told, if anything. */
  running?: { readonly fingerprint: string | undefined; readonly ended: Promise<KnownOutcome | undefined> }
  /** A question under way to the store; never rejects. */
  asking?: { readonly fingerprint: string | undefined; readonly answered: Promise<Answered> }
  /** A wait for a change made elsewhere. */
  watching?: Promise<void>
  /** A question under way to `reconcile`; tells whether the operation was settled. */
  reconciling?: Promise<boolean>
  /** How often it was looked whether anything changed. */
  looks: number
  callers: number
}

/** What one caller's question led to: `claimed` tells that `running` is set. */
export type Answered =
  | { readonly reply: 'claimed' | Exclude<ClaimReply, { state: 'claimed' }> }
  | { readonly error: unknown }

/** The rooms of an instance: one for each key that has callers now. */
export interface Rooms {
  enter(digest: string): Room
  leave(digest: string): void
}

/** Makes an empty house. */
export function createRooms(): Rooms {
  const rooms = new Map<string, Room>()
  return {
    enter(digest) {
      const room = rooms.get(digest) ?? { looks: 0, callers: 0 }
      room.callers++
      rooms.set(digest, room)
      return room
    },
    leave(digest) {
      const room = rooms.get(digest)
      if (room && --room.callers === 0) rooms.delete(digest)
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
  const asking = question().finally(() => {
    delete room.asking
  })
  room.asking = { fingerprint, answered: asking.catch((error: unknown) => ({ error })) }
  return asking
}

/** How long to wait before looking again, in ms: soon at first, for a change between the question and the watch. */
const LOOK_AGAIN_MS = { pushed: { first: 10, most: 1000 }, polled: { first: 5, most: 100 } }

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
      delete room.watching
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
