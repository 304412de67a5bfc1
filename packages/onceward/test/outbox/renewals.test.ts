/** Renewing leases of events on a server that is slow: time moves only when it is told to. */
import { expect, it } from 'vitest'
import { readClock } from '../../src/core/lease-clock.ts'
import { systemRandom } from '../../src/core/system.ts'
import type { Holding, TakenEvent } from '../../src/outbox/relay-calls.ts'
import { relayLeases } from '../../src/outbox/relay-leases.ts'
import { relaySettings } from '../../src/outbox/relay-settings.ts'
import { manualTime } from '../../src/testing/manual-time.ts'
import { gate } from './outbox-rig.ts'

const LEASE_MS = 3000

/** The leases of a relay on a database that answers renewals when it is told to. */
function book() {
  const time = manualTime()
  const lost: (number | undefined)[] = []
  const renewals: { readonly asked: readonly number[]; answer(lost?: readonly number[]): Promise<void> }[] =
    []
  const base = { clock: time, timers: time, random: systemRandom, retentionMs: 0 }
  const observer = ({ type, attempt }: { readonly type: string; readonly attempt?: number }) => {
    if (type === 'lost') lost.push(attempt)
  }
  const settings = relaySettings({ publish: () => {}, leaseMs: LEASE_MS, observer }, base)
  const leases = relayLeases(
    {
      async renew(holdings) {
        const answered = gate()
        let gone: readonly Holding[] = []
        renewals.push({
          asked: holdings.map(({ seq }) => seq),
          async answer(seqs = []) {
            gone = holdings.filter(({ seq }) => seqs.includes(seq))
            answered.open()
            await time.advance(0)
          },
        })
        await answered.opened
        return gone
      },
    },
    settings,
  )
  /** An event that was asked for so long ago; its attempt is its number. */
  const add = (seq: number, agoMs = 0) => {
    const holding: Holding = { seq, owner: 'me', attempt: seq }
    const taken: TakenEvent = { holding, lane: null, event: undefined, history: [], takenAt: 0 }
    const { now, monotonic } = readClock({ clock: time })
    const [lease] = leases.add([taken], { now: now - agoMs, monotonic: monotonic - agoMs })
    if (!lease) throw new Error('no lease')
    return lease
  }
  return { time, lost, renewals, leases, add }
}

it('renews at once what was given so late that its own deadline is near', async () => {
  const { time, lost, renewals, leases, add } = book()
  add(1)
  await time.advance(10)
  add(2, LEASE_MS * 0.9)
  await time.advance(10)
  expect(renewals.map(({ asked }) => asked)).toEqual([[1, 2]])
  await renewals[0]?.answer()
  await time.advance(LEASE_MS * 0.3)
  expect(lost).toEqual([])
  leases.stop()
})

it('renews again at once where a renewal took so long that the next was due', async () => {
  const { time, lost, renewals, leases, add } = book()
  add(1)
  await time.advance(LEASE_MS / 3)
  expect(renewals).toHaveLength(1)
  // Its answer counts from when it was sent: there is little left of the time that it gives.
  await time.advance(LEASE_MS * 0.6)
  await renewals[0]?.answer()
  expect(renewals).toHaveLength(2)
  await renewals[1]?.answer()
  await time.advance(LEASE_MS * 0.5)
  expect(lost).toEqual([])
  leases.stop()
})

it('does not take for lost what was settled while it was renewed', async () => {
  const { time, lost, renewals, leases, add } = book()
  const settling = add(1)
  add(2)
  await time.advance(LEASE_MS / 3)
  settling.isSettling = true
  await renewals[0]?.answer([1, 2])
  expect(lost).toEqual([2])
  leases.stop()
})
