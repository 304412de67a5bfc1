import { describe, expect, it } from 'vitest'
import { createQuota } from './quota.ts'

function clockAt() {
  let at = 0
  return { clock: { now: () => at, monotonic: () => at }, pass: (ms: number) => (at += ms) }
}

describe('a quota of new operations', () => {
  it('admits as many as it says, per scope', () => {
    const quota = createQuota({ newKeys: 3, perMs: 1000 }, clockAt().clock)
    expect([1, 2, 3, 4].map(() => quota.take('a').taken)).toEqual([true, true, true, false])
    expect(quota.take('b').taken).toBe(true)
  })

  it('tells when there is room again, and then there is', () => {
    const { clock, pass } = clockAt()
    const quota = createQuota({ newKeys: 2, perMs: 1000 }, clock)
    quota.take('a')
    quota.take('a')
    pass(100)
    const refused = quota.take('a')
    if (refused.taken) throw new Error('it should be full')
    pass(refused.retryAfterMs - 2)
    expect(quota.take('a').taken).toBe(false)
    pass(2)
    expect(quota.take('a').taken).toBe(true)
  })

  it('does not let a burst at the turn of the window double it', () => {
    const { clock, pass } = clockAt()
    const quota = createQuota({ newKeys: 10, perMs: 1000 }, clock)
    pass(999)
    quota.take('a')
    pass(990)
    for (let n = 0; n < 9; n++) quota.take('a')
    pass(20)
    const more = Array.from({ length: 10 }, () => quota.take('a').taken).filter(Boolean)
    expect(more.length).toBeLessThanOrEqual(1)
  })

  it('forgets an idle scope', () => {
    const { clock, pass } = clockAt()
    const quota = createQuota({ newKeys: 1, perMs: 1000 }, clock)
    quota.take('a')
    pass(5000)
    expect(quota.take('a').taken).toBe(true)
  })

  it('gives back what was not used', () => {
    const quota = createQuota({ newKeys: 1, perMs: 1000 }, clockAt().clock)
    const ticket = quota.take('a')
    if (ticket.taken) ticket.giveBack()
    expect(quota.take('a').taken).toBe(true)
  })

  it('counts a bounded number of scopes, the longest idle ones being forgotten', () => {
    const quota = createQuota({ newKeys: 1, perMs: 1000, maxScopes: 2 }, clockAt().clock)
    for (const scope of ['a', 'b', 'c']) quota.take(scope)
    expect(quota.take('c').taken).toBe(false)
    expect(quota.take('a').taken).toBe(true)
  })

  it('refuses limits that make no sense', () => {
    expect(() => createQuota({ newKeys: 0, perMs: 1000 }, clockAt().clock)).toThrow(/newKeys/)
  })
})
