import assert from 'node:assert/strict'
import type { OperationId } from '../../core/operation.ts'
import {
  asks,
  claimed,
  doneBy,
  expectReply,
  heldBy,
  LONG_MS,
  leavesUntouched,
  outcomeOf,
  recordOf,
  sameOutcome,
  someId,
  within,
} from '../case-kit.ts'
import { unlessPush } from '../store-harness.ts'
import {
  assertRetryable,
  caught,
  chain,
  claimOf,
  failureOf,
  order,
  pick,
  type TransactionCase,
  unlessKind,
} from './transaction-kit.ts'

/** The cases of `transactionConformance`. */
export function transactionCases<Tx>(): readonly TransactionCase<Tx>[] {
  return [
    {
      name: 'claim, business write and outcome commit together',
      async run({ a, b, opened }) {
        const id = someId()
        const answer = await a.transaction((tx) =>
          chain(order(a, opened, tx, asks(id)), (reply) => reply.state),
        )
        assert.equal(answer, 'claimed', 'the transaction answers what its body answers')
        assert.deepEqual(await opened.rows(), ['order'], 'the business write is committed')
        const reply = await expectReply(b, asks(id), 'done', 'the outcome is committed with it')
        sameOutcome(reply.outcome, outcomeOf('receipt'), 'the outcome is the one of the transaction')
        assert.equal((await recordOf(b, id)).attempt, 1)
      },
    },
    {
      name: 'a throw before, between or after the writes rolls all of them back and is passed on as it is',
      async run({ a, b, opened }) {
        const points = [
          'before the claim',
          'after the claim',
          'after the write',
          'after the completion',
        ] as const
        for (const point of points) {
          const id = someId()
          const failure = new Error(point)
          const stopAt = (here: string) => {
            if (here === point) throw failure
          }
          const run = a.transaction((tx) => {
            stopAt('before the claim')
            return chain(a.claimIn(tx, asks(id)), (reply) => {
              stopAt('after the claim')
              return chain(opened.insert(tx, 'order'), () => {
                stopAt('after the write')
                return chain(a.completeIn(tx, claimOf(reply), outcomeOf('receipt'), LONG_MS), () =>
                  stopAt('after the completion'),
                )
              })
            })
          })
          assert.equal(await failureOf(run), failure, `what was thrown ${point} is passed on`)
          assert.deepEqual(await opened.rows(), [], `a throw ${point} leaves no business write`)
          assert.equal(await b.get(id), undefined, `a throw ${point} leaves no record`)
          const next = await expectReply(b, asks(id), 'claimed', 'a rolled back operation may run again')
          assert.equal(next.claim.attempt, 1, 'nothing of it is left')
        }
      },
    },
    {
      name: 'concurrent transactions of one key write once, and every caller learns the outcome',
      timeoutMs: 30_000,
      async run({ stores, opened }) {
        const id = someId()
        const answers = await Promise.allSettled(
          Array.from({ length: 20 }, (_, index) => {
            const store = pick(stores, index)
            return store.transaction((tx) => order(store, opened, tx, asks(id)))
          }),
        )
        let ran = 0
        for (const answer of answers) {
          if (answer.status === 'rejected') assertRetryable(answer.reason)
          else if (answer.value.state === 'claimed') ran++
          else assert.equal(answer.value.state, 'done', 'whoever comes later finds the outcome')
        }
        assert.equal(ran, 1, `exactly one of 20 transactions runs, not ${ran}`)
        assert.deepEqual(await opened.rows(), ['order'], 'there is one business write')
      },
    },
    {
      name: 'concurrent transactions of many keys each write once',
      timeoutMs: 30_000,
      async run({ stores, opened }) {
        const ids = Array.from({ length: 6 }, (_, index) => someId(`order-${index}`))
        const run = (id: OperationId, index: number) => {
          const store = pick(stores, index)
          return store.transaction((tx) => order(store, opened, tx, asks(id), id.key))
        }
        const answers = await Promise.allSettled([...ids, ...ids, ...ids].map(run))
        for (const answer of answers) if (answer.status === 'rejected') assertRetryable(answer.reason)
        await Promise.all(ids.map(run))
        assert.deepEqual(
          [...(await opened.rows())].sort(),
          ids.map((id) => id.key),
          'each key is written once',
        )
      },
    },
    {
      name: 'a transaction is told what stands in its way, and changes nothing of it',
      async run({ a, b, opened }) {
        const running = someId()
        await claimed(a, running)
        const done = someId()
        await doneBy(a, done)
        const held = someId()
        await heldBy(a, held)
        const reused = someId()
        await doneBy(a, reused, 'receipt', { fingerprint: 'one' })
        for (const [state, id] of Object.entries({ running, done, held, reused })) {
          const before = await recordOf(a, id)
          const reply = await b.transaction((tx) =>
            order(b, opened, tx, asks(id, { fingerprint: 'two', again: true })),
          )
          assert.equal(reply.state, state)
          assert.deepEqual(await recordOf(a, id), before, `a transaction leaves what is ${state} as it is`)
        }
        assert.deepEqual(await opened.rows(), [], 'none of them writes')
      },
    },
    {
      name: 'a transaction takes a lapsed rerun over, and the stale owner can no longer complete',
      async run({ a, b, opened, unitMs, pass }) {
        const id = someId()
        const stale = await claimed(a, id, { leaseMs: unitMs, onCrash: 'rerun' })
        await pass(unitMs)
        const reply = await b.transaction((tx) => order(b, opened, tx, asks(id)))
        if (reply.state !== 'claimed') assert.fail(`a lapsed rerun is taken over, not ${reply.state}`)
        assert.ok(reply.takenOver && reply.claim.fence > stale.fence, 'the takeover has a greater fence')
        await leavesUntouched(b, id, 'a stale owner changes nothing', async () => {
          assert.equal(await a.complete(stale, outcomeOf('too late'), LONG_MS), false)
        })
      },
    },
    {
      name: 'completing in a transaction with a claim that was lost is refused, and a throw then undoes the writes',
      async run({ a, b, opened, unitMs, pass }) {
        const id = someId()
        const stale = await claimed(a, id, { leaseMs: unitMs, onCrash: 'rerun' })
        await pass(unitMs)
        await claimed(b, id, {}, 'a lapsed rerun is taken over')
        const refused = new Error('stale')
        const wrong = [stale, { ...stale, owner: 'another' }, { ...stale, fence: stale.fence + 1 }]
        for (const claim of wrong) {
          await leavesUntouched(b, id, 'a stale completion changes nothing', async () => {
            const run = a.transaction((tx) =>
              chain(opened.insert(tx, 'order'), () =>
                chain(a.completeIn(tx, claim, outcomeOf('too late'), LONG_MS), (accepted) => {
                  assert.equal(accepted, false, 'completeIn needs the owner and the fence of the claim')
                  throw refused
                }),
              ),
            )
            assert.equal(await failureOf(run), refused)
          })
        }
        assert.deepEqual(await opened.rows(), [], 'the stale commit is rolled back')
      },
    },
    {
      name: 'a synchronous store refuses a promise with a TypeError, after rolling back',
      unless: unlessKind('sync'),
      async run({ a, b, opened }) {
        const id = someId()
        const run = a.transaction((tx) => {
          void chain(order(a, opened, tx, asks(id)), () => undefined)
          return Promise.resolve('too late')
        })
        assert.ok((await failureOf(run)) instanceof TypeError, 'a promise is refused with a TypeError')
        assert.deepEqual(await opened.rows(), [], 'the writes are rolled back')
        assert.equal(await b.get(id), undefined, 'the record is rolled back')
        await a.transaction((tx) => order(a, opened, tx, asks(id)))
        assert.deepEqual(await opened.rows(), ['order'], 'the store is usable afterwards')
      },
    },
    {
      name: 'an asynchronous store waits for its body, and shows nothing of it before the commit',
      unless: unlessKind('async'),
      async run({ a, b, opened }) {
        const id = someId()
        await a.transaction(async (tx) => {
          await order(a, opened, tx, asks(id))
          await new Promise((resolve) => setImmediate(resolve))
          assert.equal(await b.get(id), undefined, 'nothing is seen before the commit')
          assert.deepEqual(await opened.rows(), [], 'no business write is seen before the commit')
        })
        assert.equal((await recordOf(b, id)).state, 'done')
      },
    },
    {
      name: 'a handle on which no transaction is open is refused with a TypeError',
      async run({ a, opened }) {
        const refuses = async (why: string) => {
          const asked = await caught(() => a.assertInTransaction(opened.outside()))
          assert.ok(asked instanceof TypeError, `it is refused ${why}`)
          const saved = await caught(() => a.savepoint(opened.outside(), () => undefined))
          assert.ok(saved instanceof TypeError, `nor is a savepoint made on it ${why}`)
        }
        await refuses('before a transaction')
        await a.transaction((tx) => a.assertInTransaction(tx))
        await refuses('after one has ended')
      },
    },
    {
      name: 'a throw inside a savepoint undoes its own writes only',
      async run({ a, b, opened }) {
        const kept = someId()
        const undone = someId()
        const failure = new Error('inside')
        await a.transaction((tx) =>
          chain(order(a, opened, tx, asks(kept), 'kept'), () => {
            const inner = () =>
              a.savepoint(tx, () =>
                chain(order(a, opened, tx, asks(undone), 'undone'), () => {
                  throw failure
                }),
              )
            return chain(caught(inner), (error) => {
              assert.equal(error, failure, 'a savepoint passes on what was thrown')
              return chain(
                a.savepoint(tx, () => chain(opened.insert(tx, 'later'), () => 'value')),
                (value) => assert.equal(value, 'value', 'a savepoint answers what its body answers'),
              )
            })
          }),
        )
        assert.deepEqual([...(await opened.rows())].sort(), ['kept', 'later'])
        assert.equal((await recordOf(b, kept)).state, 'done', 'the record outside the savepoint is committed')
        assert.equal(await b.get(undone), undefined, 'the record inside the savepoint is undone')
      },
    },
    {
      name: 'a commit wakes those who wait',
      unless: unlessPush,
      timeoutMs: 20_000,
      async run({ a, opened, patienceMs }) {
        const id = someId()
        const stop = new AbortController()
        const woken = a.watch?.(id, stop.signal)
        await a.transaction((tx) => order(a, opened, tx, asks(id)))
        await within(patienceMs, 'a commit wakes those who wait', Promise.resolve(woken))
        stop.abort()
      },
    },
  ]
}
