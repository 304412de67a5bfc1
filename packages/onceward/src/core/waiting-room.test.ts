import { describe, expect, it } from 'vitest'
import { createWaitingRoom } from './waiting-room.ts'

/** Whether a promise has settled by now. */
async function settled(promise: Promise<unknown>): Promise<boolean> {
  const pending = Symbol()
  return (await Promise.race([promise, Promise.resolve(pending)])) !== pending
}

describe('a waiting room', () => {
  it('wakes all who wait for a record, and nobody else', async () => {
    const room = createWaitingRoom()
    const { signal } = new AbortController()
    const [one, two, other] = [room.wait('a', signal), room.wait('a', signal), room.wait('b', signal)]
    expect(room.size).toBe(3)
    room.wake('a')
    await Promise.all([one, two])
    expect(await settled(other)).toBe(false)
    expect(room.size).toBe(1)
    room.wakeAll()
    await other
    expect(room.size).toBe(0)
  })

  it('lets go of whoever aborts, at once where that has come before', async () => {
    const room = createWaitingRoom()
    const stop = new AbortController()
    const [leaving, staying] = [room.wait('a', stop.signal), room.wait('a', new AbortController().signal)]
    stop.abort(new Error('no longer interested'))
    await leaving
    await room.wait('a', stop.signal)
    expect(await settled(staying)).toBe(false)
    expect(room.size).toBe(1)
  })

  it('lets whoever was woken wait again, also from within the wake', async () => {
    const room = createWaitingRoom()
    const { signal } = new AbortController()
    let again: Promise<void> | undefined
    const first = room.wait('a', signal).then(() => {
      again = room.wait('a', signal)
    })
    room.wake('a')
    await first
    expect(room.size).toBe(1)
    room.wake('a')
    await again
    expect(room.size).toBe(0)
  })

  it('leaves no listener behind on a signal that lives long', async () => {
    const room = createWaitingRoom()
    let listening = 0
    const stop = new AbortController()
    const { signal } = stop
    const add = signal.addEventListener.bind(signal)
    const remove = signal.removeEventListener.bind(signal)
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      listening++
      add(...args)
    }
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      listening--
      remove(...args)
    }
    for (let round = 0; round < 100; round++) {
      const waiting = room.wait('a', signal)
      room.wake('a')
      await waiting
    }
    expect(listening).toBe(0)
  })

  it('is not disturbed by a wake for which nobody waits', () => {
    const room = createWaitingRoom()
    room.wake('a')
    room.wakeAll()
    expect(room.size).toBe(0)
  })
})
