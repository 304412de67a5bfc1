import { describe, expect, it } from 'vitest'
import { checkWork } from './check-work.ts'
import type { NotedWork, WorkEvent } from './work-events.ts'

/** A history that was written by hand, each line 10 ms after the one before. */
function rulesOf(...lines: readonly (readonly NotedWork[])[]): readonly string[] {
  const history = lines.flat().map((line, index) => ({ t: index * 10, w: 'test', ...line }) as WorkEvent)
  return [...new Set(checkWork('dedupe', history).violations.map(({ rule }) => rule))]
}

const asks = (call: string, name?: string, windowMs = 3_600_000): NotedWork => ({
  k: 'asked',
  call,
  about: 'sight',
  items: ['a'],
  windowMs,
  ...(name === undefined ? {} : { name }),
})
const told = (call: string, isNew: boolean): NotedWork => ({
  k: 'answered',
  call,
  outcome: 'told',
  value: isNew ? 'a' : '',
})
const looks = (call: string, isNew: boolean, name?: string) => [asks(call, name), told(call, isNew)]
const fails = (call: string, effect: string): NotedWork[] => [
  asks(call),
  { k: 'failed', call, message: 'no answer', code: 'STORE_UNAVAILABLE', effect },
]
const forgets: NotedWork[] = [
  { k: 'asked', call: 'f', about: 'forget', items: ['a'] },
  { k: 'answered', call: 'f', outcome: 'forgotten' },
]

describe('the checker of dedupe', () => {
  it('lets one pass that is told so, and others that are not', () => {
    expect(rulesOf(looks('1', true), looks('2', false))).toEqual([])
    expect(rulesOf([asks('1'), asks('2'), told('2', false), told('1', true)])).toEqual([])
  })

  it('blames two that an item was new to, unless it was forgotten in between or its window was over', () => {
    expect(rulesOf(looks('1', true), looks('2', true))).toEqual(['I1'])
    expect(rulesOf(looks('1', true), forgets, looks('2', true))).toEqual([])
    expect(rulesOf(forgets, looks('1', true), looks('2', true))).toEqual(['I1'])
    expect(rulesOf(looks('1', true), forgets, looks('2', true), looks('3', true))).toEqual(['I1'])
    const short = (call: string) => [asks(call, undefined, 30), told(call, true)]
    expect(rulesOf(short('1'), short('2'))).toEqual([])
    expect(
      rulesOf([asks('1', undefined, 60), told('1', true)], [asks('2', undefined, 60), told('2', true)]),
    ).toEqual(['I1'])
  })

  it('blames an item that nobody was told of, unless an answer was lost', () => {
    expect(rulesOf(looks('1', false))).toEqual(['I2'])
    expect(rulesOf([asks('0')], looks('1', false))).toEqual([])
    expect(rulesOf(fails('0', 'unknown'), looks('1', false))).toEqual([])
    expect(rulesOf(looks('1', false), looks('2', true))).toEqual(['I2'])
  })

  it('blames a failure that says nothing was marked', () => {
    expect(rulesOf(fails('0', 'none'))).toEqual(['errors'])
  })

  it('takes the looks of one name for one, which is always told the same', () => {
    expect(rulesOf(looks('1', true, 'x'), looks('2', true, 'x'), looks('3', false, 'y'))).toEqual([])
    expect(rulesOf(looks('1', true, 'x'), looks('2', false, 'x'))).toEqual(['I3'])
    expect(rulesOf(looks('1', true, 'x'), looks('2', true, 'y'))).toEqual(['I1'])
    expect(rulesOf([asks('0', 'x')], looks('1', false, 'x'), looks('2', false, 'y'))).toEqual(['I2'])
  })
})
