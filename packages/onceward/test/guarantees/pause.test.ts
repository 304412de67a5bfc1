/** What docs/guarantees.md says about a pause past the lease: in time that moves only when told. */
import { describe, expect, it } from 'vitest'
import { createOnce } from '../../src/core/index.ts'
import { bench, gate } from '../engine/bench.ts'

/** A process pauses inside its work past the lease; another asks; the first one comes back and has its effect late. */
async function pausePastLease(onCrash: 'hold' | 'rerun') {
  const effects: string[] = []
  const fences: number[] = []
  const paused = gate<void>()
  const { once, store, time } = bench({ onCrash, leaseMs: 1000 }, (store) => ({
    ...store,
    // A paused process renews nothing.
    renew: () => new Promise(() => {}),
  }))
  const first = once.attempt({ key: 'k' }, async (op) => {
    await paused.promise
    effects.push(op.downstreamKey('bank'))
    fences.push(op.fence)
    return 'first'
  })
  const settled = first.then(
    (reply) => reply.outcome,
    (error: unknown) => (error as { code?: string }).code,
  )
  await time.advance(1001)
  const other = createOnce({ store, scope: 's', clock: time, timers: time, onCrash })
  const second = await other.attempt({ key: 'k' }, (op) => {
    effects.push(op.downstreamKey('bank'))
    fences.push(op.fence)
    return 'second'
  })
  paused.resolve()
  await time.advance(60_000)
  return {
    effects,
    fences,
    second,
    first: await settled,
    later: await other.attempt({ key: 'k' }, () => 'third'),
  }
}

describe('a pause past the lease', () => {
  it('leads to one effect in hold mode, and the operation stays held', async () => {
    const { effects, second, first, later } = await pausePastLease('hold')
    expect(second.outcome).toBe('held')
    expect(first).toBe('CLAIM_LOST')
    expect(later.outcome).toBe('held')
    expect(effects).toHaveLength(1)
  })

  it('can lead to two effects in rerun mode, with one recorded outcome: fencing the end alone does not prevent it', async () => {
    const { effects, second, first, later } = await pausePastLease('rerun')
    expect(second).toMatchObject({ outcome: 'executed', value: 'second' })
    expect(first).toBe('CLAIM_LOST')
    expect(later).toMatchObject({ outcome: 'replayed', value: 'second' })
    expect(effects).toHaveLength(2)
  })

  it('is one effect for a system that deduplicates by the downstream key', async () => {
    expect(new Set((await pausePastLease('rerun')).effects).size).toBe(1)
  })

  it('is one effect on a resource that refuses a smaller fence', async () => {
    const { fences } = await pausePastLease('rerun')
    let highest = 0
    const accepted = fences.filter((fence) => {
      if (fence < highest) return false
      highest = fence
      return true
    })
    expect(fences).toHaveLength(2)
    expect(accepted).toHaveLength(1)
  })
})
