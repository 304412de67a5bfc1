import assert from 'node:assert/strict'
import { isOncewardError } from '../../core/errors.ts'
import type { ClaimReply } from '../../core/store.ts'
import { asks, recordOf, someId } from '../case-kit.ts'
import type { Isolation } from '../transaction-conformance.ts'
import {
  assertRetryable,
  chain,
  failureOf,
  fulfilled,
  order,
  type TransactionCase,
  unlessKind,
} from './transaction-kit.ts'

const ISOLATIONS: readonly Isolation[] = ['read committed', 'repeatable read', 'serializable']

/** What several operations in one transaction, and transactions of callers, may rely on. */
export function joinedTransactionCases<Tx>(): readonly TransactionCase<Tx>[] {
  return [
    {
      name: 'two operations in one transaction are both committed or both rolled back',
      async run({ a, b, opened }) {
        const failure = new Error('after both')
        for (const end of ['commit', 'throw'] as const) {
          const one = someId()
          const two = someId()
          const run = a.transaction((tx) =>
            chain(order(a, opened, tx, asks(one), end), () =>
              chain(order(a, opened, tx, asks(two), end), () => {
                if (end === 'throw') throw failure
              }),
            ),
          )
          if (end === 'throw') assert.equal(await failureOf(run), failure)
          else await run
          for (const id of [one, two]) {
            assert.equal((await b.get(id))?.state, end === 'commit' ? 'done' : undefined, `after the ${end}`)
          }
        }
        assert.deepEqual(await opened.rows(), ['commit', 'commit'])
      },
    },
    {
      name: 'a statement that fails under a savepoint leaves the transaction usable',
      unless: unlessKind('async'),
      needs: ['fail'],
      async run({ a, b, opened }) {
        const undone = someId()
        const kept = someId()
        const run = a.transaction(async (tx) => {
          const failed = a.savepoint(tx, async () => {
            await order(a, opened, tx, asks(undone), 'undone')
            await opened.fail?.(tx)
          })
          await failureOf(Promise.resolve(failed))
          await order(a, opened, tx, asks(kept), 'kept')
        })
        await fulfilled('the transaction goes on', run)
        assert.deepEqual(await opened.rows(), ['kept'])
        assert.equal(await b.get(undone), undefined)
        assert.equal((await recordOf(b, kept)).state, 'done')
      },
    },
    {
      name: 'savepoints that are begun at the same time do not undo each other, and nested ones do',
      unless: unlessKind('async'),
      async run({ a, opened }) {
        const failure = new Error('inside')
        await a.transaction(async (tx) => {
          const writing = (text: string, error?: Error) =>
            a.savepoint(tx, async () => {
              await opened.insert(tx, text)
              await new Promise((resolve) => setImmediate(resolve))
              if (error) throw error
            })
          await Promise.allSettled([writing('one'), writing('lost', failure), writing('two')])
          const outer = a.savepoint(tx, async () => {
            await opened.insert(tx, 'outer')
            await writing('inner')
            throw failure
          })
          assert.equal(await failureOf(Promise.resolve(outer)), failure)
        })
        assert.deepEqual([...(await opened.rows())].sort(), ['one', 'two'])
      },
    },
    {
      name: "in a caller's transaction, of whatever isolation, a finished operation is found or the caller must begin anew",
      unless: unlessKind('async'),
      needs: ['begin'],
      timeoutMs: 60_000,
      async run({ a, b, opened }) {
        for (const isolation of ISOLATIONS) {
          const id = someId()
          const late = await opened.begin?.(isolation)
          assert.ok(late, 'the harness begins transactions')
          // From here on, what the late one sees may be as old as this write.
          await opened.insert(late.tx, isolation)
          const early = await opened.begin?.(isolation)
          assert.ok(early)
          await order(a, opened, early.tx, asks(id), 'order')
          await early.commit()
          const again = await claimedIn(() => b.claimIn(late.tx, asks(id)))
          if ('error' in again) {
            assertRetryable(again.error)
            assert.equal(isOncewardError(again.error) && again.error.effect, 'none')
            await late.rollback()
          } else {
            assert.equal(
              again.reply.state,
              'done',
              `under ${isolation} a finished operation is not run again`,
            )
            await late.commit()
          }
        }
        const orders = (await opened.rows()).filter((row) => row === 'order')
        assert.equal(orders.length, ISOLATIONS.length, 'each operation was run once')
      },
    },
    {
      name: "a claim in a caller's transaction is given up with it, and a completed one is committed with it",
      unless: unlessKind('async'),
      needs: ['begin'],
      async run({ a, b, opened }) {
        for (const isolation of ISOLATIONS) {
          const given = someId()
          const lost = await opened.begin?.(isolation)
          assert.ok(lost)
          await order(a, opened, lost.tx, asks(given), 'lost')
          await lost.rollback()
          assert.equal(await b.get(given), undefined, `nothing is left after a rollback under ${isolation}`)
          const kept = await opened.begin?.(isolation)
          assert.ok(kept)
          await order(b, opened, kept.tx, asks(given), isolation)
          await kept.commit()
          assert.equal((await recordOf(a, given)).state, 'done')
        }
        assert.deepEqual([...(await opened.rows())].sort(), [...ISOLATIONS].sort())
      },
    },
  ]
}

async function claimedIn(
  claim: () => ClaimReply | Promise<ClaimReply>,
): Promise<{ readonly reply: ClaimReply } | { readonly error: unknown }> {
  try {
    return { reply: await claim() }
  } catch (error) {
    return { error }
  }
}
