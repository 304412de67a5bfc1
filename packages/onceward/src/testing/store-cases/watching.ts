import assert from 'node:assert/strict'
import { isOncewardError } from '../../core/errors.ts'
import type { OperationStore } from '../../core/store.ts'
import { asks, claimed, decides, heldBy, LONG_MS, outcomeOf, someId, within } from '../case-kit.ts'
import { type StoreCase, unlessPush } from '../store-harness.ts'

/** Waiting for a change, and the end of a store. */
export const watchCases: readonly StoreCase<OperationStore>[] = [
  {
    name: 'the store says the same of itself as the harness says of it',
    async run({ stores }) {
      for (const store of stores) {
        assert.equal(typeof store.capabilities.durable, 'boolean')
        assert.ok(!store.capabilities.push || store.watch, 'a store with push has watch')
        if (store.capabilities.listing) {
          for (const method of ['list', 'find', 'sweep', 'purge', 'stats', 'audit', 'migrate', 'doctor']) {
            assert.equal(typeof Reflect.get(store, method), 'function', `a store with listing has ${method}`)
          }
        }
        if (store.capabilities.transactional) {
          for (const method of ['transaction', 'assertInTransaction', 'savepoint', 'claimIn', 'completeIn']) {
            assert.equal(typeof Reflect.get(store, method), 'function', `a transactional store has ${method}`)
          }
        }
      }
    },
  },
  ...(['complete', 'release', 'hold', 'resolve'] as const).map(
    (change): StoreCase<OperationStore> => ({
      name: `watch wakes every watcher on ${change}, on this connection and on another`,
      unless: unlessPush,
      timeoutMs: 60_000,
      async run({ a, b, patienceMs }) {
        const id = someId()
        const claim = change === 'resolve' ? await heldBy(a, id) : await claimed(a, id)
        const stop = new AbortController()
        const watching = [a, a, b].map((store) => watch(store, id, stop.signal))
        if (change === 'complete') await a.complete(claim, outcomeOf('receipt'), LONG_MS)
        else if (change === 'release') await a.release(claim)
        else if (change === 'hold') await a.hold(claim, 'no reply')
        else await a.resolve(id, decides(claim.fence, { state: 'released' }))
        await within(patienceMs, `every watcher is woken by ${change}`, Promise.all(watching))
        stop.abort()
      },
    }),
  ),
  {
    name: 'no wake is missed by a watcher that subscribed before it looked',
    unless: unlessPush,
    timeoutMs: 60_000,
    async run({ a, b, patienceMs }) {
      for (let round = 0; round < 20; round++) {
        const id = someId()
        const claim = await claimed(a, id)
        const stop = new AbortController()
        const woken = watch(a, id, stop.signal)
        const [reply] = await Promise.all([
          a.claim(asks(id)),
          b.complete(claim, outcomeOf('receipt'), LONG_MS),
        ])
        if (reply.state === 'running')
          await within(patienceMs, 'a change between looking and waiting wakes', woken)
        stop.abort()
        await woken
      }
    },
  },
  {
    name: 'watch resolves on abort, also on one that came before, and never rejects',
    unless: unlessPush,
    async run({ a, patienceMs }) {
      const id = someId()
      await claimed(a, id)
      const stop = new AbortController()
      const watching = [watch(a, id, stop.signal), watch(a, id, stop.signal), watch(a, someId(), stop.signal)]
      stop.abort(new Error('no longer interested'))
      await within(patienceMs, 'an abort ends the waiting', Promise.all(watching))
      await within(patienceMs, 'an earlier abort ends the waiting', watch(a, id, stop.signal))
    },
  },
  {
    name: 'after close nothing hangs: waiting ends, and a call answers or rejects with an OncewardError',
    timeoutMs: 60_000,
    async run({ a, b, patienceMs }) {
      const id = someId()
      const claim = await claimed(a, id)
      const waiting = a.watch?.(id, new AbortController().signal)
      await within(patienceMs, 'close comes to its end', a.close())
      if (waiting) await within(patienceMs, 'close ends the waiting', waiting)
      const calls: readonly (() => Promise<unknown>)[] = [
        () => a.claim(asks(someId())),
        () => a.get(id),
        () => a.renew(claim, LONG_MS),
        () => a.checkpoint(claim, { name: 'mail', state: 'started', onCrash: 'hold' }),
        () => a.complete(claim, outcomeOf('receipt'), LONG_MS),
        () => a.release(claim),
        () => a.hold(claim, 'no reply'),
        () => a.takeTurn(id, { fence: 1, asks: 0, quietMs: 1, holding: false }),
        () => a.resolve(id, decides(claim.fence, { state: 'released' })),
      ]
      for (const call of calls) {
        const answer = call().catch((error: unknown) => {
          assert.ok(
            isOncewardError(error),
            `a closed store rejects with an OncewardError, not with ${String(error)}`,
          )
        })
        await within(patienceMs, 'a closed store answers', answer)
      }
      await within(patienceMs, 'closing twice is harmless', a.close())
      await within(patienceMs, 'the other connection closes too', b.close())
    },
  },
]

function watch(store: OperationStore, id: ReturnType<typeof someId>, signal: AbortSignal): Promise<void> {
  assert.ok(store.watch, 'a store with push has watch')
  return store
    .watch(id, signal)
    .catch((error: unknown) => assert.fail(`watch never rejects, not even with ${String(error)}`))
}
