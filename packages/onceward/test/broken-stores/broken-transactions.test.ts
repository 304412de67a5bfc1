import { AssertionError } from 'node:assert/strict'
import { describe, expect, it } from 'vitest'
import { runCases, transactionConformance } from '../../src/testing/index.ts'
import { type TransactionFlaw, transactionalHarness } from './transactional-rig.ts'

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
    break: (sound, committed) => ({ claimIn: (_, request) => sound.claimIn(committed, request) }),
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
    break: (sound, committed) => ({ claimIn: (_, request) => sound.claimIn(committed, request) }),
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
    expect(results.filter((result) => result.state === 'skipped')).toHaveLength(1)
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
