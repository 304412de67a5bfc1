import assert from 'node:assert/strict'
import { isOncewardError } from '../../core/errors.ts'
import { asks, expectReply, recordOf, someId, within } from '../case-kit.ts'
import {
  assertRetryable,
  failureOf,
  fulfilled,
  type Opened,
  order,
  type Store,
  signal,
  type TransactionCase,
  unlessKind,
} from './transaction-kit.ts'

/** How often a body is run at most before its store gives up, with room for other ideas of "a few times". */
const MANY_RUNS = 50

/** What becomes of transactions that wait for each other or are undone by the server. Asked of async stores. */
export function concurrentTransactionCases<Tx>(): readonly TransactionCase<Tx>[] {
  const unless = unlessKind('async')
  return [
    {
      name: 'a duplicate waits for the open transaction on its key, and then finds its outcome',
      unless,
      timeoutMs: 30_000,
      async run({ a, b, opened, unitMs, pass }) {
        const id = someId()
        const events: string[] = []
        const claimed = signal()
        const go = signal()
        const holder = a.transaction(async (tx) => {
          await order(a, opened, tx, asks(id))
          claimed.raise()
          await go.raised
          events.push('commit')
        })
        await claimed.raised
        const duplicate = b
          .transaction(async (tx) => order(b, opened, tx, asks(id)))
          .then((reply) => {
            events.push('duplicate')
            return reply
          })
        await Promise.race([duplicate.catch(() => {}), pass(unitMs)])
        go.raise()
        await holder
        const reply = await fulfilled('the duplicate waits', duplicate)
        assert.equal(reply.state, 'done', 'the duplicate finds the outcome')
        assert.deepEqual(
          events,
          ['commit', 'duplicate'],
          'it does not answer before the holder has committed',
        )
        assert.deepEqual(await opened.rows(), ['order'], 'there is one business write')
      },
    },
    {
      name: 'a duplicate that waits for a transaction which is rolled back runs',
      unless,
      timeoutMs: 30_000,
      async run({ a, b, opened, unitMs, pass }) {
        const id = someId()
        const claimed = signal()
        const go = signal()
        const failure = new Error('declined')
        const holder = failureOf(
          a.transaction(async (tx) => {
            await order(a, opened, tx, asks(id), 'lost')
            claimed.raise()
            await go.raised
            throw failure
          }),
        )
        holder.catch(() => {})
        await claimed.raised
        const duplicate = b.transaction(async (tx) => order(b, opened, tx, asks(id), 'kept'))
        await Promise.race([duplicate.catch(() => {}), pass(unitMs)])
        go.raise()
        assert.equal(await holder, failure)
        const reply = await fulfilled('the duplicate runs', duplicate)
        if (reply.state !== 'claimed')
          assert.fail(`after the rollback the duplicate runs, and is not ${reply.state}`)
        assert.equal(reply.claim.attempt, 1, 'nothing is left of the transaction that was rolled back')
        assert.deepEqual(await opened.rows(), ['kept'])
      },
    },
    {
      name: 'a duplicate that waits for a transaction whose connection breaks runs soon',
      unless,
      needs: ['kill'],
      timeoutMs: 30_000,
      async run({ a, b, opened, unitMs, pass, patienceMs }) {
        const id = someId()
        const claimed = signal<Tx>()
        const go = signal()
        const holder = failureOf(
          a.transaction(async (tx) => {
            await order(a, opened, tx, asks(id), 'lost')
            claimed.raise(tx)
            await go.raised
          }),
        )
        holder.catch(() => {})
        const tx = await claimed.raised
        const duplicate = b.transaction((mine) => order(b, opened, mine, asks(id), 'kept'))
        await Promise.race([duplicate.catch(() => {}), pass(unitMs)])
        await opened.kill?.(tx)
        const reply = await within(
          patienceMs,
          'the duplicate of a broken transaction runs',
          fulfilled('the duplicate runs', duplicate),
        )
        assert.equal(reply.state, 'claimed', 'the broken transaction has left nothing')
        go.raise()
        const error = await holder
        assertRetryable(error)
        assert.equal(isOncewardError(error) && error.effect, 'none', 'it cannot have been committed')
        assert.deepEqual(await opened.rows(), ['kept'])
      },
    },
    {
      name: 'transactions that claim two keys in opposite order both end, and each key is written once',
      unless,
      timeoutMs: 40_000,
      async run({ a, b, opened, unitMs, pass }) {
        const one = someId('one')
        const two = someId('two')
        let holding = 0
        const both = signal()
        const run = (store: Store<Tx>, ids: readonly [typeof one, typeof one]) => {
          let first = true
          return store.transaction(async (tx) => {
            await order(store, opened, tx, asks(ids[0]), ids[0].key)
            if (first && ++holding === 2) both.raise()
            // A database that runs one transaction at a time never has both: then it is a plain sequence.
            if (first) await Promise.race([both.raised, pass(unitMs)])
            first = false
            await order(store, opened, tx, asks(ids[1]), ids[1].key)
          })
        }
        const runs = Promise.all([run(a, [one, two]), run(b, [two, one])])
        await fulfilled('what the server undoes is run again', runs)
        assert.deepEqual([...(await opened.rows())].sort(), ['one', 'two'])
        for (const id of [one, two]) assert.equal((await recordOf(a, id)).state, 'done')
      },
    },
    {
      name: 'a body that lets a deadlock through is run again whole, and nothing of its first run is left',
      unless,
      needs: ['conflict'],
      timeoutMs: 30_000,
      async run({ a, b, opened }) {
        const id = someId()
        const left = someId()
        let runs = 0
        const run = a.transaction(async (tx) => {
          const mine = await order(a, opened, tx, asks(id), `run ${++runs}`)
          if (runs === 1) {
            await order(a, opened, tx, asks(left), 'left')
            throw new Error('an ORM says that the query failed', { cause: opened.conflict?.() })
          }
          return mine
        })
        const reply = await fulfilled('it is run again', run)
        if (reply.state !== 'claimed')
          assert.fail(`the second run begins afresh, and does not find ${reply.state}`)
        assert.equal(reply.claim.attempt, 1, 'the record knows nothing of the first run')
        assert.deepEqual(await opened.rows(), ['run 2'])
        assert.equal(await b.get(left), undefined, 'what only the first run has claimed is not there')
      },
    },
    {
      name: 'a body that meets a deadlock every time is given up: retryable, and nothing is left',
      unless,
      needs: ['conflict'],
      timeoutMs: 60_000,
      async run({ a, b, opened }) {
        const id = someId()
        let runs = 0
        const error = await failureOf(
          a.transaction(async (tx) => {
            assert.ok(++runs <= MANY_RUNS, 'a store gives up some time')
            await order(a, opened, tx, asks(id))
            throw opened.conflict?.()
          }),
        )
        if (error instanceof assert.AssertionError) throw error
        assertRetryable(error)
        assert.equal(isOncewardError(error) && error.effect, 'none', 'all of it was rolled back')
        assert.ok(runs > 1, 'it has tried more than once')
        assert.deepEqual(await opened.rows(), [])
        await expectReply(b, asks(id), 'claimed', 'the next caller may run it')
      },
    },
    {
      name: 'a body that has ended its transaction itself is told so with a TypeError',
      needs: ['endByHand'],
      async run({ a, opened }) {
        for (const how of ['COMMIT', 'ROLLBACK'] as const) {
          const run = endingByHand(a, opened, how)
          assert.ok((await failureOf(run)) instanceof TypeError, `${how} by the body is misuse`)
        }
        await a.transaction((tx) => opened.insert(tx, 'after'))
        assert.ok((await opened.rows()).includes('after'), 'the store is usable afterwards')
      },
    },
  ]
}

function endingByHand<Tx>(a: Store<Tx>, opened: Opened<Tx>, how: 'COMMIT' | 'ROLLBACK'): Promise<unknown> {
  return a.transaction((tx) => {
    const written = opened.insert(tx, how)
    return written instanceof Promise
      ? written.then(() => opened.endByHand?.(tx, how))
      : opened.endByHand?.(tx, how)
  })
}
