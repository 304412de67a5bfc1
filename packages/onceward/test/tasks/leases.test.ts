/** Renewing leases on a server that is slow: time moves only when it is told to. */
import { expect, it } from 'vitest'
import { readClock } from '../../src/core/lease-clock.ts'
import { Attempt } from '../../src/tasks/attempt.ts'
import { leases } from '../../src/tasks/leases.ts'
import { createdRecord, wantedTask } from '../../src/tasks/new-task.ts'
import type { TaskLedger } from '../../src/tasks/task-ledger.ts'
import { manualTime } from '../../src/testing/manual-time.ts'
import { gate, taskOf } from './tasks-kit.ts'

const LEASE_MS = 3000

/** The leases of a worker on a database that answers renewals when it is told to. */
function book() {
  const time = manualTime()
  const lost: string[] = []
  const beats: { readonly ids: readonly string[]; answer(kept: readonly string[]): Promise<void> }[] = []
  const database = {
    dialect: 'postgres',
    async write({ values }: { readonly values: readonly [string] }) {
      const answered = gate()
      let kept: readonly string[] = []
      beats.push({
        ids: (JSON.parse(values[0]) as { readonly id: string }[]).map(({ id }) => id),
        async answer(ids) {
          kept = ids
          answered.open()
          await time.advance(0)
        },
      })
      await answered.passed
      return { rows: kept.map((id) => ({ id, cancel: null })), affected: kept.length }
    },
  }
  const kept = leases({
    ledger: { database, dialect: 'postgres', work: { renew: {} } } as unknown as TaskLedger,
    clock: time,
    timers: time,
    leaseMs: LEASE_MS,
    lost: ({ record }) => lost.push(record.id),
    trouble: (error) => {
      throw error
    },
  })
  /** An attempt that was asked for so long ago. */
  const given = (id: string, agoMs = 0) => {
    const record = { ...createdRecord(wantedTask(taskOf(), id, 1000), 0), owner: 'w', attempt: 1 }
    const { now, monotonic } = readClock({ clock: time })
    return new Attempt(record, { now: now - agoMs, monotonic: monotonic - agoMs })
  }
  return { time, lost, beats, kept, given }
}

it('renews at once what was given so late that its own deadline is near', async () => {
  const { time, lost, beats, kept, given } = book()
  kept.keep(given('early'))
  await time.advance(10)
  kept.keep(given('late', LEASE_MS * 0.9))
  await time.advance(10)
  expect(beats.map(({ ids }) => ids)).toEqual([['early', 'late']])
  await beats[0]?.answer(['early', 'late'])
  await time.advance(LEASE_MS * 0.3)
  expect(lost).toEqual([])
  kept.stop()
})

it('renews again at once where a renewal took so long that the next was due', async () => {
  const { time, lost, beats, kept, given } = book()
  kept.keep(given('a'))
  await time.advance(LEASE_MS / 3)
  expect(beats).toHaveLength(1)
  // Its answer counts from when it was sent: there is little left of the time that it gives.
  await time.advance(LEASE_MS * 0.6)
  await beats[0]?.answer(['a'])
  expect(beats).toHaveLength(2)
  await beats[1]?.answer(['a'])
  await time.advance(LEASE_MS * 0.5)
  expect(lost).toEqual([])
  kept.stop()
})

it('does not take for lost what was ended by its own worker while it was renewed', async () => {
  const { time, lost, beats, kept, given } = book()
  const ending = given('ending')
  kept.keep(ending)
  kept.keep(given('taken'))
  await time.advance(LEASE_MS / 3)
  ending.isEnding = true
  await beats[0]?.answer([])
  expect(lost).toEqual(['taken'])
  kept.stop()
})
