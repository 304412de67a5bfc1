import { describe, expect, it } from 'vitest'
import { belowFloors, noStatistics, type Violation } from '../harness/statistics.ts'
import { checkLocks } from './check-locks.ts'
import type { LockEvent, NotedLock } from './lock-events.ts'
import { LOCK_FLOORS } from './lock-lane.ts'

/** A history of events at these times. */
function history(...events: readonly [number, NotedLock][]): readonly LockEvent[] {
  return events.map(([t, event]) => ({ t, w: '0.0', ...event }) as LockEvent)
}

const asked = (call: string, probe = false): NotedLock => ({
  k: 'asked',
  call,
  key: 'k',
  how: 'acquire',
  probe,
})
const got = (call: string, fence: number, from: number, until: number): NotedLock => ({
  k: 'got',
  call,
  key: 'k',
  fence,
  from,
  until,
})
const holds = (call: string, from: number, until: number): NotedLock => ({ k: 'holds', call, from, until })
const rulesOf = (events: readonly LockEvent[], troubles: readonly Violation[] = []) =>
  checkLocks(events, troubles).violations.map(({ rule }) => rule)

/** One after the other, as it should be; the second takes over from a holder that was never heard of again. */
const SOUND = history(
  [0, asked('a')],
  [5, got('a', 10, 4, 100)],
  [60, holds('a', 59, 100)],
  [80, asked('b')],
  [130, got('b', 11, 129, 230)],
  [140, holds('b', 139, 230)],
  [150, { k: 'leaving', call: 'b' }],
  [160, { k: 'left', call: 'b', how: 'released' }],
)

describe('the checker of locks', () => {
  it('is content when one holds after the other', () => {
    expect(checkLocks(SOUND)).toEqual({ violations: [], takeovers: 1, twoHolders: 0, slowestMs: 0 })
  })

  it('sees two who count on one lock at the same time', () => {
    const both = history(
      [0, asked('a')],
      [5, got('a', 10, 4, 100)],
      [80, asked('b')],
      [130, got('b', 11, 129, 230)],
      [142, holds('a', 141, 200)],
      [150, holds('b', 149, 230)],
    )
    expect(new Set(rulesOf(both))).toEqual(new Set(['exclusion']))
  })

  it('does not blame a holder that was stopped and looked at nothing since', () => {
    const stopped = history(
      [0, asked('a')],
      [5, got('a', 10, 4, 100)],
      [80, asked('b')],
      [130, got('b', 11, 129, 230)],
      [150, { k: 'leaving', call: 'b' }],
      [900, { k: 'lost', call: 'a' }],
      [901, { k: 'leaving', call: 'a' }],
    )
    expect(rulesOf(stopped)).toEqual([])
  })

  it('does not blame a holder that was told that nothing is left of its lease', () => {
    const spent = history(
      [0, asked('a')],
      [1, asked('b')],
      [130, got('b', 11, 129, 230)],
      [142, got('a', 10, 141, 141)],
      [150, holds('b', 149, 230)],
    )
    expect(rulesOf(spent)).toEqual([])
  })

  it('sees a grant before the end that the holder was promised', () => {
    const early = history(
      [0, asked('a')],
      [5, got('a', 10, 4, 100)],
      [20, asked('b')],
      [90, got('b', 11, 89, 190)],
    )
    expect(rulesOf(early)).toEqual(['promise'])
    const left = history(
      [0, asked('a')],
      [5, got('a', 10, 4, 100)],
      [20, asked('b')],
      [30, { k: 'leaving', call: 'a' }],
      [40, got('b', 11, 39, 190)],
    )
    expect(rulesOf(left)).toEqual([])
  })

  it('counts two holders, and blames nobody, where the server was made to forget', () => {
    const forgotten = history(
      [0, asked('a')],
      [5, got('a', 10, 4, 100)],
      [10, { k: 'fault', kind: 'flush-all' }],
      [20, asked('b')],
      [40, got('b', 11, 39, 190)],
      [50, holds('a', 49, 100)],
      [60, holds('b', 59, 190)],
    )
    const verdict = checkLocks(forgotten)
    expect(verdict.violations).toEqual([])
    expect(verdict.twoHolders).toBeGreaterThan(0)
  })

  it('sees a fence that does not increase, also where the server forgot', () => {
    for (const fence of [10, 9]) {
      const back = history(
        [0, asked('a')],
        [5, got('a', 10, 4, 100)],
        [6, { k: 'fault', kind: 'flush-all' }],
        [20, { k: 'leaving', call: 'a' }],
        [30, asked('b')],
        [40, got('b', fence, 39, 190)],
      )
      expect(rulesOf(back)).toContain('I5')
    }
  })

  it('does not ask for an order of fences among grants that were asked for together', () => {
    const together = history(
      [0, asked('a')],
      [1, asked('b')],
      [30, got('b', 10, 29, 100)],
      [31, { k: 'leaving', call: 'b' }],
      [40, got('a', 9, 39, 41)],
      [42, { k: 'leaving', call: 'a' }],
    )
    expect(rulesOf(together)).toEqual([])
  })

  it('sees an update of the resource that was lost', () => {
    const write = (value: number, before: number, accepted = true): NotedLock => ({
      k: 'sunk',
      key: 'k',
      call: 'a',
      op: 'write',
      fence: 10,
      accepted,
      value,
      before,
    })
    expect(rulesOf(history([0, write(1, 0)], [1, write(2, 1)], [2, write(2, 2, false)]))).toEqual([])
    expect(rulesOf(history([0, write(1, 0)], [1, write(2, 1)], [2, write(2, 2)]))).toEqual(['I8'])
  })

  it('sees calls that do not end, and locks that are not granted after the heal', () => {
    expect(rulesOf(history([9, { k: 'unsettled', worker: 1, calls: ['a'] }]))).toEqual(['I11'])
    const refused = history([0, asked('a', true)], [9, { k: 'none', call: 'a', probe: true }])
    expect(rulesOf(refused)).toEqual(['I11'])
  })

  it('sees a failure in other words, or one that is not sure that it took no lock', () => {
    const fails = (code: string | undefined, effect: string) =>
      rulesOf(
        history(
          [0, asked('a')],
          [9, { k: 'none', call: 'a', probe: false, message: 'x', effect, ...(code ? { code } : {}) }],
        ),
      )
    expect(fails('LOCK_TIMEOUT', 'none')).toEqual([])
    expect(fails('STORE_UNAVAILABLE', 'none')).toEqual([])
    expect(fails('STORE_UNAVAILABLE', 'unknown')).toEqual(['errors'])
    expect(fails('STORE_CORRUPT', 'none')).toEqual(['errors'])
    expect(fails(undefined, 'none')).toEqual(['errors'])
  })

  it('sees a masked outcome, what was left behind, and a process that died of it', () => {
    expect(rulesOf(history([0, { k: 'masked', call: 'a', message: 'another error' }]))).toEqual(['using'])
    expect(rulesOf(history([0, { k: 'residue', key: 'k', holders: 1, waiting: 0 }]))).toEqual(['residue'])
    expect(rulesOf([], [{ rule: 'alive', message: 'worker 1 ended by itself' }])).toEqual(['alive'])
  })
})

describe('a campaign of trials with locks', () => {
  it('fails when it saw too little', () => {
    expect(belowFloors(noStatistics(), LOCK_FLOORS, [])).toEqual(['no trial was run'])
    const poor = { ...noStatistics(), trials: 10, counting: 4, seen: { grants: 9, writes: 9 } }
    expect(belowFloors(poor, LOCK_FLOORS, ['kill'])).toHaveLength(3)
    const many = { trials: 300, counting: 300, seen: { grants: 9_000, writes: 9_000 } }
    const long = { ...noStatistics(), ...many }
    expect(belowFloors(long, LOCK_FLOORS, ['kill'])).toEqual([
      'kill happened only 0 times, at least 3 are expected',
    ])
  })
})
