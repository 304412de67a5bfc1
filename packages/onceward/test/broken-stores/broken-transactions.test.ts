import { AssertionError } from 'node:assert/strict'
import { describe, expect, it } from 'vitest'
import { runCases, transactionConformance } from '../../src/testing/index.ts'
import { type TransactionFlaw, transactionalHarness, unavailable } from './transactional-rig.ts'

const FLAWS: readonly TransactionFlaw[] = [
  {
    name: 'a throw commits all the same',
    rule: /a throw before, between or after the writes/,
    break: (sound) => ({
      async transaction(body) {
        let failure: { readonly error: unknown } | undefined
        const value = await sound.transaction((tx) => {
          const caught = (error: unknown) => {
            failure = { error }
            return undefined
          }
          try {
            const made = body(tx)
            return made instanceof Promise ? made.catch(caught) : made
          } catch (error) {
            return caught(error)
          }
        })
        if (failure) throw failure.error
        return value as Awaited<ReturnType<typeof body>>
      },
    }),
  },
  {
    name: 'what was thrown is replaced',
    rule: /passed on as it is/,
    break: (sound) => ({
      transaction: (body) =>
        sound.transaction(body).catch((cause: unknown) => {
          throw new Error('rolled back', { cause })
        }),
    }),
  },
  {
    name: 'the record is written beside the transaction',
    rule: /a throw before, between or after the writes/,
    break: (_sound, { blindClaim, committed }) => ({
      claimIn: (_, request) => blindClaim(committed, request),
    }),
  },
  {
    name: 'the outcome is lost at the commit',
    rule: /claim, business write and outcome commit together/,
    break: () => ({ completeIn: () => true }),
  },
  {
    name: 'a stale completion is accepted',
    rule: /with a claim that was lost is refused/,
    break: (sound) => ({
      completeIn: (tx, claim, outcome, retentionMs) => {
        const found = tx.records.get(claim.id.digest)
        const believed = { ...claim, owner: found?.owner ?? claim.owner, fence: found?.fence ?? claim.fence }
        return sound.completeIn(tx, believed, outcome, retentionMs)
      },
    }),
  },
  {
    name: 'a second claim of a key is granted',
    rule: /concurrent transactions of one key write once/,
    break: (sound) => ({
      claimIn: (tx, request) => {
        tx.records.delete(request.id.digest)
        return sound.claimIn(tx, request)
      },
    }),
  },
  {
    name: 'a duplicate does not wait for who was first',
    rule: /a duplicate waits for the open transaction on its key/,
    kind: 'async',
    break: (_, { begin, commit, blindClaim }) => ({
      async transaction(body) {
        const tx = begin()
        const value = await body(tx)
        commit(tx)
        return value
      },
      claimIn: blindClaim,
    }),
  },
  {
    name: 'a claim outlives its rollback',
    rule: /waits for a transaction which is rolled back runs/,
    kind: 'async',
    break: (sound, { committed }) => ({
      claimIn: async (tx, request) => {
        const reply = await sound.claimIn(tx, request)
        const record = tx.records.get(request.id.digest)
        if (record) committed.records.set(request.id.digest, record)
        return reply
      },
    }),
  },
  {
    name: 'a broken connection is waited for',
    rule: /whose connection breaks runs soon/,
    kind: 'async',
    break: (sound) => ({
      transaction: (body) =>
        sound.transaction((tx) => {
          tx.break = () => {}
          return body(tx)
        }),
    }),
  },
  {
    name: 'a broken connection is told as committed',
    rule: /whose connection breaks runs soon/,
    kind: 'async',
    break: (sound) => ({
      transaction: <T>(body: (tx: Parameters<typeof sound.assertInTransaction>[0]) => T | Promise<T>) =>
        sound.transaction(body).catch(() => undefined as T),
    }),
  },
  {
    name: 'a transaction that meets another one is turned away',
    rule: /claim two keys in opposite order both end/,
    kind: 'async',
    break: (sound) => {
      let open = 0
      return {
        async transaction(body) {
          if (open > 0) throw unavailable('there is another one')
          open++
          return sound.transaction(body).finally(() => open--)
        },
      }
    },
  },
  {
    name: 'a deadlock is thrown at the first time',
    rule: /a body that lets a deadlock through is run again whole/,
    kind: 'async',
    break: (sound) => ({
      transaction: (body) =>
        sound
          .transaction(async (tx) => ({ ended: await caughtIn(() => body(tx)) }))
          .then(({ ended }) => {
            if ('error' in ended) throw ended.error
            return ended.value
          }),
    }),
  },
  {
    name: 'a second run finds what the first has written',
    rule: /a body that lets a deadlock through is run again whole/,
    kind: 'async',
    break: (sound) => ({
      transaction: (body) =>
        sound.transaction(async (tx) => {
          for (;;) {
            const ended = await caughtIn(() => body(tx))
            if ('value' in ended) return ended.value
          }
        }),
    }),
  },
  {
    name: 'a deadlock is no reason to give up, ever',
    rule: /a body that meets a deadlock every time is given up/,
    kind: 'async',
    break: (sound) => ({
      async transaction(body) {
        for (;;) {
          const ended = await caughtIn(() => sound.transaction(body))
          if ('value' in ended) return ended.value
          if (ended.error instanceof AssertionError) throw ended.error
        }
      },
    }),
  },
  {
    name: 'the last deadlock is thrown as the driver says it',
    rule: /a body that meets a deadlock every time is given up/,
    kind: 'async',
    break: (sound) => ({
      transaction: (body) =>
        sound.transaction(body).catch((error: unknown) => {
          throw (error as Error).cause ?? error
        }),
    }),
  },
  {
    name: 'a transaction that its body has ended is believed',
    rule: /has ended its transaction itself/,
    break: (sound) => ({
      transaction: <T>(body: (tx: Parameters<typeof sound.assertInTransaction>[0]) => T | Promise<T>) =>
        sound.transaction(body).catch((error: unknown) => {
          if (error instanceof TypeError) return undefined as T
          throw error
        }),
    }),
  },
  {
    name: 'only the first operation of a transaction belongs to it',
    rule: /two operations in one transaction are both committed or both rolled back/,
    break: (sound, { committed, blindClaim }) => {
      const seen = new WeakSet<object>()
      return {
        claimIn(tx, request) {
          if (seen.has(tx)) return blindClaim(committed, request)
          seen.add(tx)
          return sound.claimIn(tx, request)
        },
      }
    },
  },
  {
    name: 'a failed statement under a savepoint spoils the transaction',
    rule: /a statement that fails under a savepoint/,
    kind: 'async',
    break: (sound) => ({
      savepoint: async (tx, body) => {
        let failed = false
        try {
          return await sound.savepoint(tx, async () => {
            try {
              return await body()
            } finally {
              failed = tx.aborted
            }
          })
        } finally {
          tx.aborted = failed
        }
      },
    }),
  },
  {
    name: 'savepoints at the same time undo each other',
    rule: /savepoints that are begun at the same time/,
    kind: 'async',
    break: (_, { plainSavepoint }) => ({ savepoint: plainSavepoint }),
  },
  {
    name: 'a claim believes an old snapshot',
    rule: /of whatever isolation, a finished operation is found/,
    kind: 'async',
    break: (_, { blindClaim }) => ({ claimIn: blindClaim }),
  },
  {
    name: "a claim in a caller's transaction is written beside it",
    rule: /a claim in a caller's transaction is given up with it/,
    kind: 'async',
    break: (_, { blindClaim, committed }) => ({ claimIn: (_tx, request) => blindClaim(committed, request) }),
  },
  {
    name: 'a refused claim leaves a mark',
    rule: /a transaction is told what stands in its way/,
    break: (sound) => ({ claimIn: (tx, request) => sound.claimIn(tx, { ...request, again: false }) }),
  },
  {
    name: 'a promise is committed early',
    rule: /a synchronous store refuses a promise/,
    kind: 'sync',
    break: (sound) => ({
      transaction: (body) =>
        sound.transaction((tx) => {
          const value = body(tx)
          return value instanceof Promise ? (undefined as Awaited<typeof value>) : value
        }),
    }),
  },
  {
    name: 'a promise is not waited for',
    rule: /an asynchronous store waits for its body|commit together/,
    kind: 'async',
    break: (sound) => ({
      async transaction(body) {
        const made: ReturnType<typeof body>[] = []
        await sound.transaction((tx) => void made.push(body(tx)))
        return made[0] as Awaited<ReturnType<typeof body>>
      },
    }),
  },
  {
    name: 'what is not committed is seen',
    rule: /shows nothing of it before the commit/,
    kind: 'async',
    break: (_sound, { blindClaim, committed }) => ({
      claimIn: (_, request) => blindClaim(committed, request),
    }),
  },
  {
    name: 'a handle without a transaction is taken',
    rule: /a handle on which no transaction is open/,
    break: () => ({ assertInTransaction: () => {} }),
  },
  {
    name: 'a savepoint undoes nothing',
    rule: /a throw inside a savepoint undoes its own writes only/,
    break: () => ({ savepoint: (_, body) => body() }),
  },
  {
    name: 'a savepoint undoes everything',
    rule: /a throw inside a savepoint undoes its own writes only/,
    break: (sound) => ({
      savepoint: (tx, body) => {
        tx.records.clear()
        tx.rows.splice(0)
        return sound.savepoint(tx, body)
      },
    }),
  },
  {
    name: 'a commit wakes nobody',
    rule: /a commit wakes those who wait/,
    break: () => ({ watch: () => new Promise(() => {}) }),
  },
]

describe.each(['sync', 'async'] as const)('the conformance suite of %s transactions', (kind) => {
  const flaws = FLAWS.filter((flaw) => flaw.kind === undefined || flaw.kind === kind)

  it('passes a sound store and leaves out only what is asked of the other kind', async () => {
    const results = await runCases(transactionConformance(transactionalHarness(kind)))
    expect(results.filter((result) => result.state === 'failed')).toEqual([])
    const left = results.filter((result) => result.state === 'skipped')
    for (const { reason } of left) expect(reason).toMatch(/the transactions of the store are not/)
    expect(left).toHaveLength(kind === 'async' ? 1 : 11)
  })

  it.each(flaws.map((flaw) => [flaw.name, flaw] as const))(
    'rejects a store where %s, by its rule',
    async (_, flaw) => {
      const cases = transactionConformance(transactionalHarness(kind, flaw)).filter((one) =>
        flaw.rule.test(one.name),
      )
      expect(cases, 'a rule names a case').not.toEqual([])
      const failed = (await runCases(cases)).filter((result) => result.state === 'failed')
      expect(failed, `the flaw breaks ${flaw.rule}`).not.toEqual([])
      for (const { error } of failed) expect(error).toBeInstanceOf(AssertionError)
    },
  )
})

/** What `act` answers or throws. */
async function caughtIn<T>(
  act: () => T | Promise<T>,
): Promise<{ readonly value: T } | { readonly error: unknown }> {
  try {
    return { value: await act() }
  } catch (error) {
    return { error }
  }
}
