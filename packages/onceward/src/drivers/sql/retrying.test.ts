import { expect, it } from 'vitest'
import { retrying } from './retrying.ts'

const conflict = new Error('deadlock')
const timers = {
  after(ms: number, call: () => void) {
    pauses.push(ms)
    setImmediate(call)
    return () => {}
  },
}
let pauses: number[] = []
const how = {
  timers,
  random: { nonce: () => '', fraction: () => 1 },
  tries: 6,
  isTransient: (error: unknown) => error === conflict,
}

it('tries again what may go better, between pauses that grow up to a bound', async () => {
  pauses = []
  const attempts: number[] = []
  const answer = await retrying(how, async (attempt) => {
    attempts.push(attempt)
    if (attempt < 6) throw conflict
    return 'done'
  })
  expect(answer).toBe('done')
  expect(attempts).toEqual([1, 2, 3, 4, 5, 6])
  expect(pauses).toEqual([4, 8, 16, 32, 64])
})

it('gives up after the last try with what that has thrown', async () => {
  let tries = 0
  const run = retrying(how, async () => {
    tries++
    throw conflict
  })
  await expect(run).rejects.toBe(conflict)
  expect(tries).toBe(6)
})

it('does not try again what fails for good', async () => {
  let tries = 0
  const refused = new Error('refused')
  const run = retrying(how, async () => {
    tries++
    throw refused
  })
  await expect(run).rejects.toBe(refused)
  expect(tries).toBe(1)
})
