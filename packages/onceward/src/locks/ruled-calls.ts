import type { LockBackend } from './lock-backend.ts'
import { wholeMs } from './lock-columns.ts'
import type { LockStep } from './lock-step.ts'
import { forceRelease, mark, transfer } from './lock-transitions.ts'

/** Decides one step on the lock of a key by the rules, under a lock of the backend's own. */
export type Decide = <Reply>(key: string, step: LockStep<Reply>['decide']) => Promise<Reply>

/** The calls that a backend in SQL leaves to the rules in any case. */
export function ruledCalls(
  decide: Decide,
): Required<Pick<LockBackend, 'transfer' | 'forceRelease' | 'mark'>> {
  return {
    transfer(from, given) {
      const to = { ...given, ttlMs: wholeMs(given.ttlMs) }
      return decide(from.key, (found, now) => transfer(found, from, to, now))
    },
    forceRelease: (request) => decide(request.key, (found, now) => forceRelease(found, request, now)),
    mark: (held, text, keepMs) =>
      decide(held.key, (found, now) => mark(found, held, text, wholeMs(keepMs), now)),
  }
}
