import { expect, it } from 'vitest'
import type { Timers } from '../core/clock.ts'
import { timeLimits } from './time-limits.ts'

/** Limits on a clock that is set by hand. `pass` lets so much time pass, and fires the timer when it is due. */
function limited() {
  let now = 0
  let timer: { readonly at: number; readonly fire: () => void } | undefined
  let set = 0
  const timers: Timers = {
    after(delayMs, fire) {
      set++
      const own = { at: now + delayMs, fire }
      timer = own
      return () => {
        if (timer === own) timer = undefined
      }
    },
  }
  const over: string[] = []
  const limits = timeLimits(timers, () => now)
  return {
    over,
    limit: (name: string, ms: number, also: () => void = () => {}) =>
      limits.after(ms, () => {
        over.push(name)
        also()
      }),
    pass(ms: number) {
      const until = now + ms
      while (timer !== undefined && timer.at <= until) {
        now = timer.at
        const { fire } = timer
        timer = undefined
        fire()
      }
      now = until
    },
    timersSet: () => set,
  }
}

it('limits end when they are due, in that order, whatever was taken back between', () => {
  const { limit, over, pass } = limited()
  const names = Array.from({ length: 50 }, (_, place) => `${place}`)
  // Each is due before the one that was made before it.
  const forgets = names.map((name, place) => limit(name, 1000 - place))
  for (const [place, forget] of forgets.entries()) if (place % 3 !== 0) forget()
  pass(1000)
  expect(over).toEqual(names.filter((_, place) => place % 3 === 0).reverse())
})

it('a limit that is taken back twice takes no other with it', () => {
  const { limit, over, pass } = limited()
  const forget = limit('a', 10)
  limit('b', 10)
  forget()
  forget()
  limit('c', 10)
  forget()
  pass(10)
  expect(over).toEqual(['b', 'c'])
})

it('the end of a limit may take back another that is due at the same time, or make a new one', () => {
  const { limit, over, pass } = limited()
  let forget = () => {}
  limit('first', 10, () => {
    forget()
    limit('next', 10)
  })
  forget = limit('second', 10)
  pass(15)
  expect(over).toEqual(['first'])
  pass(5)
  expect(over).toEqual(['first', 'next'])
})

it('limits that are taken back one after the other set one timer', () => {
  const { limit, timersSet } = limited()
  for (let place = 0; place < 100; place++) limit(`${place}`, 1000 + place)()
  expect(timersSet()).toBe(1)
})
