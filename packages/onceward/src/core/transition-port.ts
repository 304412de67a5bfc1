import { MAX_NOTE_CHARS, type OperationRecord } from './operation.ts'
import type { OperationStore } from './store.ts'
import * as transitions from './transitions.ts'

/**
 * Runs one transition as one atomic step: reads the record of `digest` (expired or not), takes the store's time in ms
 * while nobody else can write, calls `step`, writes what it answers, and resolves to its reply once that is safe.
 */
export type Atomically = <Reply>(
  digest: string,
  step: (found: OperationRecord | undefined, now: number) => transitions.Transition<Reply>,
) => Promise<Reply>

/** The methods of a store that follow from {@link Atomically}. */
export type TransitionMethods = Pick<
  OperationStore,
  'claim' | 'renew' | 'checkpoint' | 'complete' | 'release' | 'hold' | 'get' | 'takeTurn' | 'resolve'
>

/** Makes a store of one way to run a transition: for stores that can read and write under one lock. */
export function transitionMethods(atomically: Atomically): TransitionMethods {
  return {
    claim: (request) => atomically(request.id.digest, (found, now) => transitions.claim(found, request, now)),
    renew: (claim, leaseMs) =>
      atomically(claim.id.digest, (found, now) => transitions.renew(found, claim, leaseMs, now)),
    checkpoint: (claim, step) =>
      atomically(claim.id.digest, (found) => transitions.checkpoint(found, claim, step)),
    complete: (claim, outcome, retentionMs) =>
      atomically(claim.id.digest, (found, now) =>
        transitions.complete(found, claim, outcome, retentionMs, now),
      ),
    release: (claim, failure) =>
      atomically(claim.id.digest, (found, now) => transitions.release(found, claim, failure, now)),
    hold: (claim, reason) =>
      atomically(claim.id.digest, (found, now) => transitions.hold(found, claim, reason, now)),
    get: (id) =>
      atomically(id.digest, (found, now) => ({
        reply: found && !transitions.isExpired(found, now) ? found : undefined,
      })),
    takeTurn: (id, turn) => atomically(id.digest, (found, now) => transitions.takeTurn(found, turn, now)),
    resolve: async (id, resolution) => {
      assertDecidable(resolution.actor, resolution.reason)
      return atomically(id.digest, (found, now) => transitions.resolve(found, resolution, now))
    },
  }
}

/** Refuses a decision that nobody could account for later. */
export function assertDecidable(actor: string, reason: string): void {
  if (actor.trim() === '') throw new TypeError('a resolve needs an actor: who decides')
  if (reason.trim() === '') throw new TypeError('a resolve needs a reason: why it is decided so')
  if (reason.length > MAX_NOTE_CHARS)
    throw new TypeError(`the reason has ${reason.length} characters, the most is ${MAX_NOTE_CHARS}`)
}
