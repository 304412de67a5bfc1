import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MAX_HISTORY } from '../../src/core/operation.ts'
import { createdRecord, wantedTask } from '../../src/tasks/new-task.ts'
import type { TaskRecord } from '../../src/tasks/task-record.ts'
import {
  cancel,
  conflict,
  type Ending,
  isFinished,
  lapse,
  redrive,
  resolve,
  settle,
  TASK_EDGES,
} from '../../src/tasks/task-transitions.ts'

const failure = { name: 'Error', message: 'no', effect: 'unknown' } as const
const ENDINGS: readonly Ending[] = [
  { kind: 'done', result: '1' },
  { kind: 'not-replayable', reason: 'large' },
  { kind: 'failed', failure },
  { kind: 'thrown', failure, delayMs: 5 },
  { kind: 'hold', failure },
  { kind: 'released' },
]

type Step = (record: TaskRecord, now: number) => TaskRecord | undefined

const claim: Step = (record) =>
  record.state === 'pending'
    ? { ...record, state: 'running', attempt: record.attempt + 1, fence: record.fence + 1, owner: 'w' }
    : undefined
const running =
  (step: Step): Step =>
  (record, now) =>
    record.state === 'running' ? step(record, now) : undefined
const STEPS: readonly Step[] = [
  claim,
  claim,
  ...ENDINGS.map((ending) => running((record, now) => settle(record, ending, now))),
  running((record, now) => lapse(record, now, 10)),
  (record, now) => cancel(record, 'why', now),
  (record, now) => redrive(record, 2, 'why', now),
  (record, now) => resolve(record, { as: 'done', result: '1' }, 'why', now),
  (record, now) => resolve(record, { as: 'failed' }, 'why', now),
  (record, now) => resolve(record, { as: 'release' }, 'why', now),
  (record, now) => {
    const decided = conflict(record, { ifUnfinished: 'replace', ifFinished: 'allow' }, now)
    return decided.outcome === 'replaced' ? decided.record : undefined
  },
]

describe('the life of a task', () => {
  it('moves only along the declared edges, never takes back an attempt, and ends as it says', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('hold', 'rerun'),
        fc.integer({ min: 1, max: 3 }),
        fc.array(fc.nat(STEPS.length - 1), { maxLength: 60 }),
        (onCrash, maxAttempts, steps) => {
          const order = { userId: 'u', actionType: 'a', taskId: 't', onCrash, maxAttempts } as const
          let record = createdRecord(wantedTask(order, 'id', 1000), 0)
          for (const [now, index] of steps.entries()) {
            const next = (STEPS[index] as Step)(record, now)
            if (!next) continue
            if (next.state !== record.state) expect(TASK_EDGES[record.state]).toContain(next.state)
            expect(next.attempt).toBeGreaterThanOrEqual(record.attempt)
            expect(next.finishedAt !== null).toBe(isFinished(next.state))
            expect(next.history.length).toBeLessThanOrEqual(MAX_HISTORY)
            if (next.state === 'pending') expect(next.attempt).toBeLessThan(next.maxAttempts)
            // Nobody but a person decides what became of a held task.
            if (record.state === 'held' && next.state !== 'held') {
              expect(next.history.at(-1)?.event).toBe('resolved')
            }
            if (record.state === 'running' && next.state === 'pending' && record.onCrash === 'hold') {
              expect(next.history.at(-1)?.event).not.toBe('lapsed')
            }
            record = next
          }
        },
      ),
      { numRuns: 500 },
    )
  })

  it('has no way out of what is done or cancelled', () => {
    expect(TASK_EDGES.done).toEqual([])
    expect(TASK_EDGES.cancelled).toEqual([])
  })
})
