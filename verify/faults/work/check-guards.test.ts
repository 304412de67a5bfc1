import { describe, expect, it } from 'vitest'
import { checkWork } from './check-work.ts'
import { UNITS } from './guard-lane.ts'
import type { NotedWork, WorkEvent } from './work-events.ts'

/** A history that was written by hand, each line 10 ms after the one before. */
function rulesOf(...lines: readonly (readonly NotedWork[])[]): readonly string[] {
  const history = lines.flat().map((line, index) => ({ t: index * 10, w: 'test', ...line }) as WorkEvent)
  return [...new Set(checkWork('guards', history).violations.map(({ rule }) => rule))]
}

const asks = (call: string, item: string, commits = true): NotedWork => ({
  k: 'asked',
  call,
  about: 'guard',
  item,
  commits,
})
const told = (call: string, outcome: string, value = ''): NotedWork => ({
  k: 'answered',
  call,
  outcome,
  value,
})
const row = (call: string, item: string): NotedWork => ({ k: 'row', call, item })
const order = (status: string, ending: string): NotedWork => ({ k: 'order', item: 'o', status, ending })
const stock = (left: number, version: number): NotedWork => ({ k: 'stock', item: 's', left, version })

const ends = (call: string) => [asks(call, 'o'), told(call, 'moved', 'paid')]
const sells = (call: string, version: number) => [asks(call, 's'), told(call, 'updated', String(version))]

describe('the checker of guards', () => {
  it('lets an order pass that has one ending, which somebody was told of or not', () => {
    expect(rulesOf(ends('1'), [order('paid', '1'), row('1', 'o paid')])).toEqual([])
    expect(rulesOf([asks('1', 'o')], [order('paid', '1'), row('1', 'o paid')])).toEqual([])
    expect(
      rulesOf([asks('2', 'o'), told('2', 'stale', 'paid')], [order('paid', '1'), row('1', 'o paid')]),
    ).toEqual([])
  })

  it('blames an order that has two endings, another one than its row, or none', () => {
    const both = [row('1', 'o paid'), row('2', 'o cancelled')]
    expect(rulesOf(ends('1'), ends('2'), [order('cancelled', '2'), ...both])).toEqual(['I1'])
    expect(rulesOf(ends('1'), [order('cancelled', '2'), row('1', 'o paid')])).toEqual(['I2'])
    expect(rulesOf([order('paid', '1')])).toEqual(['I1'])
    expect(rulesOf([order('new', '')])).toEqual(['I11'])
    expect(
      rulesOf([asks('2', 'o'), told('2', 'stale', 'cancelled'), order('paid', '1'), row('1', 'o paid')]),
    ).toEqual(['I6'])
  })

  it('blames what was told and is not so', () => {
    expect(rulesOf([asks('1', 's'), told('1', 'done', '1')])).toEqual(['I2'])
    expect(rulesOf([asks('1', 'x'), told('1', 'none'), row('1', 'x')])).toEqual(['errors'])
    expect(rulesOf([asks('1', 'x', false), told('1', 'rolled-back'), row('1', 'x')])).toEqual(['errors'])
    expect(rulesOf([asks('1', 'x'), row('1', 'x'), row('1', 'x')])).toEqual(['I1'])
  })

  it('blames stock that is not what its rows say, and versions that go back or come twice', () => {
    const sold = [row('1', 's'), row('2', 's')]
    expect(rulesOf(sells('1', 1), sells('2', 2), [stock(UNITS - 2, 2), ...sold])).toEqual([])
    expect(rulesOf(sells('1', 1), sells('2', 2), [stock(UNITS - 1, 2), ...sold])).toEqual(['I1'])
    expect(rulesOf(sells('1', 1), sells('2', 2), [stock(UNITS - 2, 1), ...sold])).toEqual(['I5'])
    expect(rulesOf(sells('1', 2), sells('2', 1), [stock(UNITS - 2, 2), ...sold])).toEqual(['I5'])
    expect(rulesOf(sells('1', 2), sells('2', 2), [stock(UNITS - 2, 2), ...sold])).toEqual(['I5'])
  })

  it('blames a payment that was made twice', () => {
    const paid: NotedWork = { k: 'payment', item: 'o', call: '1' }
    expect(rulesOf([paid, row('1', 'o payment')])).toEqual([])
    expect(rulesOf([paid, row('1', 'o payment'), row('2', 'o payment')])).toEqual(['I1'])
  })
})
