import assert from 'node:assert/strict'
import { isOncewardError } from '../../core/errors.ts'
import type { LockCapabilities } from '../../locks/lock-backend.ts'
import { within } from '../case-kit.ts'
import type { LockCase } from '../lock-harness.ts'
import { asksFor, heldBy, someKey, waitsFor } from '../lock-kit.ts'

/** What a backend says of itself, and how it ends. */
export function basicCases(capabilities: LockCapabilities): readonly LockCase[] {
  return [
    {
      name: 'the backend says the same of itself as the harness says of it',
      async run({ backends }) {
        for (const backend of backends) {
          assert.deepEqual({ ...backend.capabilities }, { ...capabilities })
          assert.equal(typeof backend.mark, capabilities.marks ? 'function' : 'undefined', 'mark')
          assert.equal(typeof backend.watch, capabilities.push ? 'function' : 'undefined', 'watch')
          assert.ok(backend.minTtlMs > 0 && Number.isFinite(backend.minTtlMs), 'the shortest ttl is a time')
          assert.ok(backend.drift >= 0 && backend.drift < 0.5, 'the drift is a part of a time')
          assert.notEqual(backend.where, '', 'people are told where the locks are')
          assert.doesNotMatch(backend.where, /:\/\/[^/]*:[^/]*@/, 'and no password')
        }
      },
    },
    {
      name: 'what the backend needs can be created again by any connection',
      async run({ backends }) {
        for (const backend of backends) {
          await backend
            .migrate?.()
            .catch((error: unknown) => assert.fail(`it is all there already: ${error}`))
        }
        for (const backend of backends) await heldBy(backend, someKey())
      },
    },
    {
      name: 'after close nothing hangs: a call answers or rejects with an OncewardError',
      async run({ a, b, patienceMs }) {
        const held = await heldBy(a, someKey())
        const waiting = waitsFor(held.key)
        await a.acquire(waiting)
        const stop = a.watch?.(waiting, () => {})
        await within(patienceMs, 'close comes to its end', a.close())
        const calls: readonly (() => Promise<unknown> | undefined)[] = [
          () => a.acquire(asksFor(someKey())),
          () => a.acquire(waiting),
          () => a.extend([{ key: held.key, token: held.token, ttlMs: 60_000 }]),
          () => a.transfer(held, asksFor(held.key)),
          () => a.inspect(held.key),
          () => a.mark?.(held, 'late', 1_000),
          () => a.release(held),
          () => a.forceRelease({ key: held.key, by: 'ada', reason: 'it hangs' }),
        ]
        for (const call of calls) {
          const answer = Promise.resolve(call()).catch((error: unknown) => {
            assert.ok(
              isOncewardError(error),
              `closed locks reject with an OncewardError, not with ${String(error)}`,
            )
          })
          await within(patienceMs, 'closed locks answer', answer)
        }
        stop?.()
        a.watch?.(waiting, () => {})()
        await within(patienceMs, 'closing twice is harmless', a.close())
        await within(patienceMs, 'the other connection closes too', b.close())
      },
    },
  ]
}
