import { describe, expect, it } from 'vitest'
import { operationId } from '../core/identity.ts'
import { memoryStore } from '../stores/memory/index.ts'
import { type FaultPlan, faultPoints } from './fault-points.ts'
import { manualTime } from './manual-time.ts'

const id = operationId('test', 'order-1')
const request = { id, owner: 'ada', leaseMs: 1000, retentionMs: 1000, onCrash: 'hold' } as const

const faulty = (plan: FaultPlan, options = {}) => faultPoints(memoryStore(), plan, options)

describe('a fault point', () => {
  it('before a call keeps it from the store', async () => {
    const { store, fired } = faulty({ 'claim:before': { do: 'throw' } })
    await expect(store.claim(request)).rejects.toMatchObject({ code: 'ECONNRESET' })
    expect(await store.get(id)).toBeUndefined()
    expect(fired('claim:before')).toBe(1)
  })

  it('after a call loses the reply of what was applied', async () => {
    const { store } = faulty({ 'claim:after': { do: 'throw', error: new Error('cut') } })
    await expect(store.claim(request)).rejects.toThrow('cut')
    expect((await store.get(id))?.state).toBe('running')
  })

  it('with a list acts once for each entry, at its turn, and counts what it did', async () => {
    const { store, fired, reached } = faulty({ 'get:before': [undefined, { do: 'throw' }, undefined] })
    await store.get(id)
    await expect(store.get(id)).rejects.toThrow(/connection was lost at get:before/)
    await store.get(id)
    await store.get(id)
    expect([reached('get:before'), fired('get:before'), reached('get:after')]).toEqual([4, 1, 3])
    expect(fired('claim:before')).toBe(0)
  })

  it('that hangs answers nothing until it is healed, and fails then', async () => {
    const { store, heal } = faulty({ 'claim:before': { do: 'hang' } })
    let settled = false
    const hanging = store.claim(request).finally(() => {
      settled = true
    })
    hanging.catch(() => {})
    await new Promise((resolve) => setImmediate(resolve))
    expect(settled).toBe(false)
    heal()
    await expect(hanging).rejects.toMatchObject({ code: 'ECONNRESET' })
    expect((await store.claim(request)).state, 'a healed point does nothing').toBe('claimed')
  })

  it('that delays goes on when its time has come', async () => {
    const time = manualTime()
    const { store } = faulty({ 'get:before': { do: 'delay', ms: 50 } }, { timers: time })
    let settled = false
    const reading = store.get(id).then(() => {
      settled = true
    })
    await time.advance(49)
    expect(settled).toBe(false)
    await time.advance(1)
    await reading
  })

  it('that runs a callback waits for it', async () => {
    const order: string[] = []
    const run = async () => {
      await Promise.resolve()
      order.push('callback')
    }
    const { store } = faulty({ 'get:after': { do: 'run', run } })
    await store.get(id)
    order.push('answer')
    expect(order).toEqual(['callback', 'answer'])
  })

  it('leaves the rest of the store as it is', async () => {
    const { store } = faulty({})
    expect(store.capabilities).toEqual(memoryStore().capabilities)
    expect((await store.claim(request)).state).toBe('claimed')
    expect((await store.list({})).records).toHaveLength(1)
    await store.close()
  })
})
