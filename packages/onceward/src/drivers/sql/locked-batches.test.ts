import { describe, expect, it } from 'vitest'
import { OncewardError } from '../../core/errors.ts'
import type { OperationRecord } from '../../core/operation.ts'
import type { AuditEntry } from '../../core/store.ts'
import { transitionMethods } from '../../core/transition-port.ts'
import { asks, outcomeOf, someId } from '../../testing/case-kit.ts'
import type { Change, Found } from './decide-batch.ts'
import { type LockedRecords, lockedBatches } from './locked-batches.ts'

/** A server that remembers what is committed, and tells how it was asked. */
function server(faults: { refuse?: (changes: readonly Change[]) => unknown; corrupt?: string } = {}) {
  const rows = new Map<string, OperationRecord>()
  const told: string[] = []
  const audited: AuditEntry[] = []
  const committed: string[] = []
  const batches = lockedBatches({
    maxBatch: 100,
    maxInFlight: 1,
    async transaction(body) {
      told.push('begin')
      const pending = new Map<string, OperationRecord>()
      const records: LockedRecords = {
        async lock(digests) {
          told.push(`lock ${digests.length}`)
          return new Map(
            digests.flatMap((digest): [string, Found][] => {
              if (digest === faults.corrupt) return [[digest, { fault: new Error('unreadable') }]]
              const record = rows.get(digest)
              return record ? [[digest, { record }]] : []
            }),
          )
        },
        now: async () => 1_000,
        async write(changes) {
          const refused = faults.refuse?.(changes)
          if (refused) throw refused
          for (const { after } of changes) pending.set(after.id.digest, after)
        },
        audit: async (entries) => void audited.push(...entries),
      }
      const value = await body(records)
      for (const [digest, record] of pending) rows.set(digest, record)
      told.push('commit')
      return value
    },
    onCommitted: (changes) => void committed.push(...changes.map(({ after }) => after.id.digest)),
  })
  return { batches, methods: transitionMethods(batches.submit), rows, told, audited, committed }
}

describe('transitions in batches under locks', () => {
  it('of one turn of the event loop share a transaction, and are answered after its commit', async () => {
    const { methods, told, rows, committed } = server()
    const ids = [someId(), someId(), someId()]
    const replies = await Promise.all(ids.map((id) => methods.claim(asks(id))))
    expect(replies.map(({ state }) => state)).toEqual(['claimed', 'claimed', 'claimed'])
    expect(told).toEqual(['begin', 'lock 3', 'commit'])
    expect(committed.sort()).toEqual(ids.map((id) => id.digest).sort())
    expect(rows.size).toBe(3)
  })

  it('of one key go one after the other, and the later one sees what the earlier one has written', async () => {
    const { methods } = server()
    const id = someId()
    const replies = await Promise.all([methods.claim(asks(id)), methods.claim(asks(id))])
    expect(replies.map(({ state }) => state)).toEqual(['claimed', 'running'])
  })

  it('that throw, or whose row cannot be read, fail alone', async () => {
    const broken = someId()
    const { methods, batches } = server({ corrupt: broken.digest })
    const [unreadable, thrown, fine] = await Promise.allSettled([
      methods.claim(asks(broken)),
      batches.submit(someId().digest, () => {
        throw new Error('no')
      }),
      methods.claim(asks(someId())),
    ])
    expect(unreadable).toMatchObject({ status: 'rejected', reason: { message: 'unreadable' } })
    expect(thrown).toMatchObject({ status: 'rejected', reason: { message: 'no' } })
    expect(fine).toMatchObject({ status: 'fulfilled', value: { state: 'claimed' } })
  })

  it('are committed one by one when one of them cannot be written', async () => {
    const large = someId()
    const full = new OncewardError('STORE_FULL', 'too large')
    const { methods } = server({
      refuse: (changes) => changes.some(({ after }) => after.id.digest === large.digest) && full,
    })
    const [refused, ...others] = await Promise.allSettled(
      [large, someId(), someId()].map((id) => methods.claim(asks(id))),
    )
    expect(refused).toMatchObject({ status: 'rejected', reason: full })
    expect(others.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled'])
  })

  it('are not tried one by one against a server that cannot be reached', async () => {
    const down = new OncewardError('STORE_UNAVAILABLE', 'down')
    const { methods, told } = server({ refuse: () => down })
    const results = await Promise.allSettled([someId(), someId()].map((id) => methods.claim(asks(id))))
    expect(results).toMatchObject([{ reason: down }, { reason: down }])
    expect(told.filter((word) => word === 'begin')).toHaveLength(1)
  })

  it('write the line of the audit with the decision', async () => {
    const { methods, audited } = server()
    const id = someId()
    const reply = await methods.claim(asks(id))
    if (reply.state !== 'claimed') throw new Error('not claimed')
    await methods.hold(reply.claim, 'no reply')
    const as = { state: 'done', outcome: outcomeOf('found') } as const
    await methods.resolve(id, { fence: reply.claim.fence, as, actor: 'ada', reason: 'looked' })
    expect(audited).toMatchObject([{ digest: id.digest, as: 'done', actor: 'ada' }])
  })
})
