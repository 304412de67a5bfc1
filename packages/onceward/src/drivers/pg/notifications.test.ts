import { expect, it } from 'vitest'
import { systemRandom } from '../../core/system.ts'
import { manualTime } from '../../testing/manual-time.ts'
import { type Notifying, notifications } from './notifications.ts'
import type { Listening, PgDriver } from './pg-driver.ts'

/** Connections that listen, lost and closed by hand. */
function byHand() {
  const time = manualTime()
  const opened: Listening[] = []
  const closed: Listening[] = []
  const listener = {
    listen: async (listening: Listening) => {
      opened.push(listening)
      return { close: async () => void closed.push(listening) }
    },
  } as unknown as PgDriver
  const context: Notifying = {
    listener,
    channel: 'onceward_test',
    settings: { timers: { after: time.after }, random: systemRandom },
    run: async () => ({ rows: [], affected: 0 }),
  }
  return { time, opened, closed, ended: [] as string[], context }
}

const settled = () => new Promise((resolve) => setImmediate(resolve))

it('listens while somebody waits and a while longer, over one connection', async () => {
  const { time, opened, closed, context } = byHand()
  const push = notifications(context, () => {})
  push.needed()
  push.needed()
  await settled()
  expect(opened).toHaveLength(1)
  push.unneeded()
  await time.advance(5000)
  push.needed()
  await time.advance(60_000)
  expect([opened.length, closed.length], 'somebody waits again').toEqual([1, 0])
  push.unneeded()
  await time.advance(10_000)
  await settled()
  expect(closed).toHaveLength(1)
  await push.close()
})

it('follows a lost connection by another one, later, and leaves none behind', async () => {
  const { time, opened, closed, context } = byHand()
  const push = notifications(context, () => {})
  push.needed()
  await settled()
  opened[0]?.onLost()
  push.needed()
  await settled()
  expect(opened, 'not at once').toHaveLength(1)
  push.unneeded()
  await time.advance(10_000)
  await settled()
  push.needed()
  await settled()
  expect(opened).toHaveLength(2)
  await time.advance(60_000)
  push.needed()
  await settled()
  expect(opened, 'the second one is still there').toHaveLength(2)
  await push.close()
  expect(closed).toHaveLength(2)
})

it('tells each name of a payload, and nothing of its own probe', async () => {
  const { opened, ended, context } = byHand()
  const sent: unknown[] = []
  const push = notifications(
    { ...context, run: async (_, values) => ({ rows: [], affected: sent.push(values) }) },
    (digest) => void ended.push(digest),
  )
  push.needed()
  await settled()
  expect(push.works()).toBe(false)
  const probe = /"(probe .*)"/.exec(JSON.stringify(sent))?.[1]?.replace(/\\.*$/, '') ?? ''
  opened[0]?.onPayload(probe)
  expect(push.works()).toBe(true)
  opened[0]?.onPayload('one two')
  expect(ended).toEqual(['one', 'two'])
  await push.close()
})
