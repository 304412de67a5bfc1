import { describe, expect, it } from 'vitest'
import { memoryStore } from '../stores/memory/index.ts'
import { type ConformanceCase, registerCases, runCases, withSkips } from './conformance-case.ts'
import { storeConformance } from './store-conformance.ts'

const passes: ConformanceCase = { name: 'passes', run: async () => {} }
const fails: ConformanceCase = {
  name: 'fails',
  timeoutMs: 9,
  run: async () => Promise.reject(new Error('broken')),
}
const skipped: ConformanceCase = {
  name: 'skipped',
  skip: 'no push',
  run: async () => Promise.reject(new Error('ran')),
}

describe('cases', () => {
  it('become tests of a runner, a skipped one with its reason', () => {
    const told: unknown[] = []
    const test = Object.assign((...args: unknown[]) => told.push(['test', ...args]), {
      skip: (...args: unknown[]) => told.push(['skip', ...args]),
    })
    registerCases(test, [passes, fails, skipped])
    expect(told).toEqual([
      ['test', 'passes', passes.run],
      ['test', 'fails', fails.run, 9],
      ['skip', 'skipped [skipped: no push]', skipped.run],
    ])
  })

  it('can be run without a runner, one after the other, and each result is told', async () => {
    expect(await runCases([passes, fails, skipped])).toEqual([
      { name: 'passes', state: 'passed' },
      { name: 'fails', state: 'failed', error: new Error('broken') },
      { name: 'skipped', state: 'skipped', reason: 'no push' },
    ])
  })

  it('are skipped by name, and a name no case has is refused', () => {
    expect(withSkips([passes], { passes: 'too slow here' })[0]?.skip).toBe('too slow here')
    expect(() => withSkips([passes], { renamed: 'too slow here' })).toThrow(/no case "renamed"/)
  })
})

describe('a suite', () => {
  const harness = (over: object = {}) => ({
    capabilities: { ...memoryStore().capabilities, ...over },
    open: async () => Promise.reject(new Error('not opened')),
  })

  it('asks what the capabilities promise, and tells the reason of every case it leaves out', () => {
    const all = storeConformance(harness())
    expect(all.filter((one) => one.skip !== undefined)).toEqual([])
    const fewer = storeConformance(harness({ push: false, listing: false, fencing: false }))
    const reasons = new Set(fewer.flatMap((one) => one.skip ?? []))
    expect(reasons).toEqual(
      new Set([
        'the store declares no push',
        'the store declares no listing',
        'the store declares no fencing',
      ]),
    )
    expect(fewer.length).toBe(all.length)
  })

  it('names every case once', () => {
    const names = storeConformance(harness()).map((one) => one.name)
    expect(new Set(names).size).toBe(names.length)
  })

  it('closes what it opened, also when a case fails', async () => {
    let closed = 0
    const store = { ...memoryStore(), claim: async () => Promise.reject(new Error('down')) }
    const cases = storeConformance({
      capabilities: store.capabilities,
      open: async () => ({
        stores: [store, store],
        close: async () => {
          closed++
        },
      }),
    })
    const results = await runCases(cases.slice(0, 3))
    expect(results.map((result) => result.state)).toEqual(['failed', 'failed', 'failed'])
    expect(closed).toBe(3)
  })
})
