import { Redis } from 'ioredis'

/**
 * No lock at all: a turn that two processes hand to each other by nothing but a message through Redis. It keeps nobody
 * away who does not play along, and is lost with whoever has it. What a lock costs beyond that is its price. Both have to
 * begin at the same moment: who comes when the turn was kept elsewhere waits for ever.
 *
 * @type {import('./contestant.mjs').LockContestant}
 */
export const onlyMessages = {
  name: 'no lock: a turn handed on by PUBLISH',
  server: 'redis',
  kinds: ['waiters'],
  async open(url) {
    const client = new Redis(url)
    const listener = new Redis(url)
    const own = await client.incr('turn:processes')
    const other = own % 2 === 0 ? own - 1 : own + 1
    /** Who waits in this process, by key. @type {Map<string, (() => void)[]>} */
    const waiting = new Map()
    /** The keys whose turn came when nobody waited here. @type {Set<string>} */
    const parked = new Set()

    /** Gives the turn to somebody here, sends it on, or keeps it when nobody wants it there either. */
    const take = (/** @type {string} */ key, /** @type {boolean} */ isBack) => {
      const next = waiting.get(key)?.shift()
      if (next) next()
      else if (isBack) parked.add(key)
      else send(key, true)
    }
    const send = (/** @type {string} */ key, /** @type {boolean} */ isBack) =>
      client.publish(`turn:of:${other}`, JSON.stringify([key, isBack]))

    listener.on('message', (_channel, text) => {
      const [key, isBack] = JSON.parse(text)
      take(key, isBack)
    })
    await listener.subscribe(`turn:of:${own}`)
    return {
      async acquire(key) {
        const hasTurn = new Promise((resolve) => {
          const line = waiting.get(key) ?? []
          line.push(() => resolve(undefined))
          waiting.set(key, line)
        })
        const isFirst =
          waiting.get(key)?.length === 1 && (await client.set(`turn:${key}`, own, 'NX')) === 'OK'
        if (isFirst || parked.delete(key)) take(key, true)
        await hasTurn
        return { release: () => send(key, false) }
      },
      mishaps: { lost: 0, failed: 0 },
      async close() {
        listener.disconnect()
        await client.quit()
      },
    }
  },
}
