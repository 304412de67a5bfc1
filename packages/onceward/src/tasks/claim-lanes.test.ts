import { setImmediate as turn } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { systemClock, systemRandom } from '../core/system.ts'
import { claimLanes } from './claim-lanes.ts'
import { wakeable } from './wakeable.ts'

/** Lanes over a queue of so many tasks that are never done; timers fire only when they are told to. */
function lanes({ due = 0, isDouble = false, fails = false }) {
  const timers = new Set<() => void>()
  const wake = wakeable({
    after(_ms, callback) {
      timers.add(callback)
      return () => void timers.delete(callback)
    },
  })
  const seen = { claims: 0, troubles: 0, taken: 0 }
  let stopping = false
  const running = claimLanes({
    clock: systemClock,
    random: systemRandom,
    wake,
    leaseMs: 0,
    pollMs: 1000,
    most: 10,
    isDouble,
    free: () => 1000 - seen.taken,
    isEnding: () => false,
    async claim(most) {
      seen.claims++
      await turn()
      if (fails) throw new Error('no such function')
      const given = Math.min(most, due - seen.taken)
      seen.taken += given
      return given
    },
    giveBackStrays: async () => {},
    trouble: () => void seen.troubles++,
    isStopping: () => stopping,
  })
  const turns = async () => {
    for (let passed = 0; passed < 100; passed++) await turn()
    return { ...seen }
  }
  return {
    turns,
    tick() {
      for (const fire of timers) fire()
    },
    async stop() {
      stopping = true
      wake.now()
      await running
    },
  }
}

it.each([[false], [true]])(
  'looks once and then not before its time where nothing is due, double %s',
  async (isDouble) => {
    const idle = lanes({ isDouble })
    expect((await idle.turns()).claims).toBe(1)
    idle.tick()
    expect((await idle.turns()).claims).toBe(2)
    await idle.stop()
  },
)

it('pauses after a claim that fails', async () => {
  const failing = lanes({ fails: true })
  expect(await failing.turns()).toMatchObject({ claims: 1, troubles: 1 })
  failing.tick()
  expect(await failing.turns()).toMatchObject({ claims: 2, troubles: 2 })
  await failing.stop()
})

it.each([[false], [true]])('takes all that is due without a pause, double %s', async (isDouble) => {
  const busy = lanes({ due: 95, isDouble })
  expect((await busy.turns()).taken).toBe(95)
  await busy.stop()
})
