import { describe, expect, it } from 'vitest'
import { type Mark, pollWatch } from './poll-watch.ts'

/** A server whose records are set by hand, and time that is moved by hand. */
function rig() {
  const marks = new Map<string, Mark>()
  const asked: (readonly string[])[] = []
  const pauses: number[] = []
  let due: (() => void) | undefined
  let now = 0
  let failing = false
  const watch = pollWatch({
    clock: { monotonic: () => now },
    timers: {
      after(ms, call) {
        pauses.push(ms)
        due = () => {
          now += ms
          call()
        }
        return () => {
          due = undefined
        }
      },
    },
    isClosed: () => false,
    async marksOf(digests) {
      asked.push(digests)
      if (failing) throw new Error('down')
      return marks
    },
  })
  const settled = (promise: Promise<void>) => {
    const state = { done: false }
    void promise.then(() => {
      state.done = true
    })
    return state
  }
  return {
    watch,
    marks,
    asked,
    pauses,
    settled,
    idle: () => due === undefined,
    fail: () => {
      failing = true
    },
    /** Lets the next look come, and everything that follows from it. */
    async tick() {
      for (let turn = 0; turn < 10; turn++) await Promise.resolve()
      const next = due
      due = undefined
      next?.()
      for (let turn = 0; turn < 10; turn++) await Promise.resolve()
    },
  }
}

const running: Mark = { open: true, mark: 'running 1', changedMsAgo: 1_000_000 }
const never = new AbortController().signal

describe('waiting by polling', () => {
  it('asks once for all who wait, and not at all when nobody does', async () => {
    const { watch, marks, asked, tick, settled, idle } = rig()
    expect(idle()).toBe(true)
    for (const digest of ['a', 'b']) marks.set(digest, running)
    const waiting = [watch.watch('a', never), watch.watch('a', never), watch.watch('b', never)].map(settled)
    await tick()
    expect(asked).toEqual([['a', 'b']])
    marks.set('a', { open: false, mark: 'done 1', changedMsAgo: 0 })
    await tick()
    expect(waiting.map(({ done }) => done)).toEqual([true, true, false])
    watch.wake('b')
    await tick()
    expect(waiting.map(({ done }) => done)).toEqual([true, true, true])
    await tick()
    expect(idle()).toBe(true)
    expect(asked).toHaveLength(2)
  })

  it('looks less and less often, and soon again for whoever comes next', async () => {
    const { watch, marks, pauses, tick } = rig()
    marks.set('a', running).set('b', running)
    void watch.watch('a', never)
    for (let look = 0; look < 20; look++) await tick()
    expect(pauses[0]).toBe(5)
    expect(pauses.at(-1)).toBe(250)
    void watch.watch('b', never)
    expect(pauses.at(-1)).toBe(5)
  })

  it('wakes for a record that is gone, that another has been granted, or that became held', async () => {
    const { watch, marks, tick, settled } = rig()
    for (const digest of ['gone', 'granted', 'held']) marks.set(digest, running)
    const waiting = ['gone', 'granted', 'held'].map((digest) => settled(watch.watch(digest, never)))
    await tick()
    expect(waiting.some(({ done }) => done)).toBe(false)
    marks.delete('gone')
    marks.set('granted', { ...running, mark: 'running 2' })
    marks.set('held', { ...running, mark: 'held 1' })
    await tick()
    expect(waiting.map(({ done }) => done)).toEqual([true, true, true])
  })

  it('wakes for what has changed between the begin of the waiting and the first look', async () => {
    const { watch, marks, tick, settled } = rig()
    marks.set('new', { open: true, mark: 'held 1', changedMsAgo: 3 })
    marks.set('old', { open: true, mark: 'held 1', changedMsAgo: 8 })
    const [fresh, old] = ['new', 'old'].map((digest) => settled(watch.watch(digest, never)))
    await tick()
    expect([fresh?.done, old?.done]).toEqual([true, false])
  })

  it('sends everybody to the store when that cannot be asked', async () => {
    const { watch, fail, tick, settled } = rig()
    const waiting = settled(watch.watch('a', never))
    fail()
    await tick()
    expect(waiting.done).toBe(true)
  })

  it('looks although new ones come to wait all the time', async () => {
    const { watch, marks, asked, idle, tick, pauses } = rig()
    for (let comer = 0; comer < 50; comer++) {
      marks.set(`digest ${comer}`, running)
      void watch.watch(`digest ${comer}`, never)
    }
    await tick()
    expect(pauses, 'a look that is due is not put off by who comes meanwhile').toEqual([5, 7.5])
    expect(asked).toHaveLength(1)
    // The next look may come sooner for a newcomer.
    void watch.watch('newcomer', never)
    expect(pauses).toEqual([5, 7.5, 5])
    watch.close()
    expect(idle()).toBe(true)
  })

  it('ends with the signal of the one who waits, and with the store', async () => {
    const { watch, marks, tick, settled, idle } = rig()
    marks.set('a', running)
    const stop = new AbortController()
    const [one, other] = [settled(watch.watch('a', stop.signal)), settled(watch.watch('a', never))]
    stop.abort()
    await tick()
    expect([one.done, other.done]).toEqual([true, false])
    watch.close()
    await tick()
    expect(other.done).toBe(true)
    expect(idle()).toBe(true)
  })
})
