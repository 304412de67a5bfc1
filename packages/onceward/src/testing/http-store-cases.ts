import assert from 'node:assert/strict'
import type { Claim } from '../core/operation.ts'
import type { OperationStore } from '../core/store.ts'
import { assertExecuted, assertReplay } from './http-assertions.ts'
import { type HttpBench, type HttpCase, httpCase, timed } from './http-bench.ts'
import { field } from './http-connection.ts'
import { assertProblem, OUTCOME_UNKNOWN } from './http-problem.ts'

const STORE_UNAVAILABLE = { status: 503, code: 'store-unavailable', retryable: true, effect: 'none' } as const

/**
 * Puts something before every call of a store: a wait, or a throw that stands for a store out of reach.
 *
 * Limit: the call is stopped before it reaches the store; a reply that is lost afterwards is not played.
 */
export function interceptStore(
  store: OperationStore,
  before: (method: string, args: readonly unknown[]) => Promise<void> | void,
): OperationStore {
  return new Proxy(store, {
    get(target, name, receiver) {
      const value: unknown = Reflect.get(target, name, receiver)
      if (typeof value !== 'function' || typeof name !== 'string') return value
      return async (...args: unknown[]) => {
        await before(name, args)
        return Reflect.apply(value, target, args) as unknown
      }
    },
  })
}

/** Fails the named methods while the bench has the flag `down`. */
function failing(...methods: readonly string[]): (store: OperationStore, bench: HttpBench) => OperationStore {
  return (store, bench) =>
    interceptStore(store, (method) => {
      if (methods.includes(method) && bench.flags.has('down')) throw outOfReach()
    })
}

const EVERYTHING = [
  'claim',
  'renew',
  'checkpoint',
  'complete',
  'release',
  'hold',
  'get',
  'takeTurn',
  'resolve',
]

/** Stores that fail and claims that lapse: SECURITY-CASES 62, and the rows on the store and on lapses of DESIGN.md §6. */
export const storeCases: readonly HttpCase[] = [
  httpCase(
    'a store that is down before the claim is a 503, and the application is not run',
    { options: { storeTimeoutMs: 300 }, wrapStore: failing(...EVERYTHING) },
    async (bench) => {
      bench.flags.add('down')
      assertProblem(await bench.send({ key: 'down' }), STORE_UNAVAILABLE)
      assert.equal(bench.effects, 0)
      assertExecuted(await bench.send(), 201)
      bench.flags.delete('down')
      // A store that is slow for a moment is told as one that is down, and asked again.
      const first = await bench.resend({ key: 'down' }, ({ status }) => status !== STORE_UNAVAILABLE.status)
      assertExecuted(first, 201)
      bench.flags.add('down')
      const later = await bench.send({ key: 'down' })
      // What is finished may be known without asking the store; if it is not, nobody runs it.
      if (later.status === 201) assertReplay(first, later)
      else assertProblem(later, STORE_UNAVAILABLE)
      assert.equal(bench.effects, 2)
    },
  ),

  httpCase(
    'where a route fails open, a store that is down lets requests through, marked',
    {
      options: { failOpen: true, storeTimeoutMs: 300 },
      wrapStore: failing(...EVERYTHING),
    },
    async (bench) => {
      bench.flags.add('down')
      for (let time = 0; time < 2; time++) {
        const response = await bench.send({ key: 'open' })
        assertExecuted(response, 201)
        assert.ok(
          field(response, 'idempotency-bypassed'),
          'the answer does not say that nothing is remembered',
        )
        assert.equal(field(response, 'idempotency-expires'), undefined)
      }
      assert.equal(bench.effects, 2)
    },
  ),

  httpCase(
    'the answer leaves only after it is stored',
    {
      wrapStore: (store, bench) =>
        interceptStore(store, async (method) => {
          if (method !== 'complete') return
          bench.flags.add('completing')
          await bench.gate('store').opened
        }),
    },
    async (bench) => {
      const connection = await bench.connect()
      bench.write(connection, { key: 'order' })
      await bench.reaches(() => bench.flags.has('completing'))
      // Another whole exchange: an answer that was on its way would have arrived by its end.
      for (let time = 0; time < 3; time++)
        assertExecuted(await bench.send({ method: 'GET', body: null }), 201)
      assert.equal(connection.pending.length, 0, 'the answer left before it was stored')
      bench.gate('store').open()
      assertReplay(await bench.receive(connection), await bench.send({ key: 'order' }))
      assert.equal(bench.effects, 1)
    },
  ),

  httpCase(
    'a store that fails for a moment at completion still remembers',
    {
      options: { leaseMs: 20_000 },
      wrapStore: (store, bench) =>
        interceptStore(store, (method) => {
          if (method !== 'complete' || bench.flags.has('failed once')) return
          bench.flags.add('failed once')
          throw outOfReach()
        }),
    },
    async (bench) => {
      const first = await bench.send({ key: 'moment' })
      assertExecuted(first, 201)
      assertReplay(first, await bench.send({ key: 'moment' }))
      assert.equal(bench.effects, 1)
    },
  ),

  httpCase(
    'a store that fails at completion costs the client nothing, and nothing is run again',
    {
      options: { leaseMs: 600, waitMs: 0 },
      wrapStore: failing('complete', 'hold', 'release', 'renew'),
      app: (request, bench) => {
        bench.flags.add('down')
        return bench.pay(request)
      },
    },
    async (bench) => {
      const first = await bench.send({ key: 'lost' })
      assertExecuted(first, 201)
      assert.ok(
        first.body.includes(bench.canary('acme')),
        'the client did not get the answer of the application',
      )
      assertProblem(await bench.resend({ key: 'lost' }, isHeld), OUTCOME_UNKNOWN)
      assert.equal(bench.effects, 1)
    },
  ),

  httpCase(
    'a claim that lapses is held, and never run again',
    {
      options: { leaseMs: 300, waitMs: 0, onCrash: 'hold' },
      wrapStore: failing('renew', 'complete', 'release', 'hold'),
      app: async (request, bench) => {
        bench.flags.add('down')
        await bench.gate().opened
        return bench.pay(request)
      },
    },
    async (bench) => {
      const first = bench.send({ key: 'crash' })
      await bench.effectsReach(1)
      assertProblem(await bench.resend({ key: 'crash' }, isHeld), OUTCOME_UNKNOWN)
      bench.gate().open()
      await first
      assertProblem(await bench.send({ key: 'crash' }), OUTCOME_UNKNOWN)
      assert.equal(bench.effects, 1)
    },
  ),

  httpCase(
    'a claim that lapses is taken over where it may be rerun',
    {
      options: { leaseMs: 300, waitMs: 0, onCrash: 'rerun' },
      // The process of the first claim is cut off; the second claim reaches the store.
      wrapStore: (store) =>
        interceptStore(store, (method, [claim]) => {
          if (method !== 'claim' && (claim as Partial<Claim> | undefined)?.attempt === 1) throw outOfReach()
        }),
      app: async (request, bench) => {
        if (bench.effects === 1) await bench.gate().opened
        return bench.pay(request)
      },
    },
    async (bench) => {
      const first = bench.send({ key: 'crash' })
      await bench.effectsReach(1)
      const second = await bench.resend({ key: 'crash' }, (response) => response.status === 201)
      assertReplay(second, await bench.send({ key: 'crash' }))
      bench.gate().open()
      await first
      assertReplay(second, await bench.send({ key: 'crash' }))
      assert.equal(bench.effects, 2)
    },
  ),

  httpCase(
    'a store that never answers does not hang the client for ever',
    {
      options: { storeTimeoutMs: 300 },
      wrapStore: (store, bench) =>
        interceptStore(store, async () => {
          if (bench.flags.has('down')) await bench.gate('store').opened
        }),
    },
    async (bench) => {
      bench.flags.add('down')
      const { value, tookMs } = await timed(() => bench.send({ key: 'mute' }))
      assertProblem(value, STORE_UNAVAILABLE)
      assert.ok(tookMs < 12_000, `it took ${tookMs} ms`)
      assert.equal(bench.effects, 0)
    },
  ),
]

function outOfReach(): Error {
  return Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' })
}

function isHeld(response: { readonly body: Buffer }): boolean {
  return response.body.includes('outcome-unknown')
}
