import { createServer } from 'node:net'
import { freePort } from './ports.mjs'
import { ProxiedConnection } from './proxied-connection.mjs'

const HOST = '127.0.0.1'

/** The network as it should be. */
const SOUND = { judge: () => 'pass', requests: {}, replies: {} }

/** See index.d.mts. */
export async function faultProxy({ target }) {
  const proxy = new FaultProxy(target, await freePort())
  await proxy.listen()
  return proxy
}

class FaultProxy {
  #target
  #listener
  #listening
  #open = new Set()
  #fault = SOUND
  #hooks = {}
  #waiting = []
  #stopped = false

  constructor(target, port) {
    this.#target = { host: target.host, port: target.port }
    this.host = HOST
    this.port = port
    this.accepted = 0
    this.fired = 0
  }

  get connections() {
    return this.#open.size
  }

  url(upstream) {
    const changed = new URL(upstream)
    changed.hostname = HOST
    changed.port = String(this.port)
    return changed.href
  }

  async hasFired(times = 1) {
    if (this.fired >= times) return
    await new Promise((resolve, reject) => this.#waiting.push({ times, resolve, reject }))
  }

  async pass() {
    this.#hooks = {}
    this.#set(SOUND)
    await this.#listening
  }

  async refuse() {
    this.#set(SOUND)
    await this.#listening
    const listener = this.#listener
    this.#listener = undefined
    // Closes at once; its callback would wait for the open connections too.
    listener?.close()
  }

  async down() {
    await this.refuse()
    this.reset()
  }

  dropRequests() {
    this.#set({ ...SOUND, judge: (direction) => (direction === 'requests' ? this.#fire('drop') : 'pass') })
  }

  dropReplies() {
    this.#set({ ...SOUND, judge: (direction) => (direction === 'replies' ? this.#fire('drop') : 'pass') })
  }

  cutOnReply(times = 1) {
    this.#cutOnReply(times, () => true)
  }

  cutOnReplyTo(text, times = 1) {
    const wanted = Buffer.from(text)
    this.#cutOnReply(times, (bytes, connection) => {
      // The text may lie across two chunks.
      const whole = Buffer.concat([connection.marks.get('before') ?? Buffer.alloc(0), bytes])
      connection.marks.set('before', whole.subarray(Math.max(0, whole.length - wanted.length + 1)))
      return whole.includes(wanted)
    })
  }

  delay(ms, direction = 'both') {
    const slow = { delayMs: ms }
    this.#set({
      judge: (way) => (direction === 'both' || direction === way ? this.#fire('pass') : 'pass'),
      requests: direction === 'replies' ? {} : slow,
      replies: direction === 'requests' ? {} : slow,
    })
  }

  slice(bytes) {
    if (!Number.isInteger(bytes) || bytes < 1)
      throw new TypeError('slice takes a whole number of bytes from 1')
    const sliced = { sliceBytes: bytes }
    const judge = (_direction, chunk) => (chunk.length > bytes ? this.#fire('pass') : 'pass')
    this.#set({ judge, requests: sliced, replies: sliced })
  }

  reset() {
    for (const connection of this.#open) {
      connection.cut()
      this.#fire()
    }
  }

  halfOpen() {
    this.#set(SOUND)
    for (const connection of this.#open) connection.orphan()
    this.#fault = {
      ...SOUND,
      judge: (_direction, _bytes, { lossy }) => (lossy ? this.#fire('drop') : 'pass'),
    }
  }

  blackHole() {
    const held = { hold: true }
    this.#set({ judge: () => this.#fire('pass'), requests: held, replies: held })
  }

  onRequest(hook) {
    this.#hooks.requests = hook
  }

  onReply(hook) {
    this.#hooks.replies = hook
  }

  async stop() {
    if (this.#stopped) return
    this.#stopped = true
    await this.#listening
    this.#listener?.close()
    for (const connection of this.#open) connection.cut()
  }

  [Symbol.asyncDispose]() {
    return this.stop()
  }

  /** Listens, for the first time or again after a refusal. */
  listen() {
    if (this.#listener || this.#stopped) return this.#listening
    const listener = createServer({ allowHalfOpen: true }, (client) => this.#accept(client))
    this.#listener = listener
    this.#listening = new Promise((resolve, reject) => {
      listener.once('error', reject)
      listener.listen({ port: this.port, host: HOST }, resolve)
    })
    return this.#listening
  }

  #accept(client) {
    const connection = new ProxiedConnection({
      id: ++this.accepted,
      client,
      target: this.#target,
      judge: (direction, bytes, from) => this.#judge(direction, bytes, from),
      terms: (direction) => ({ delayMs: 0, ...this.#fault[direction] }),
      onClose: () => this.#open.delete(connection),
    })
    this.#open.add(connection)
  }

  #judge(direction, bytes, connection) {
    const verdict = this.#hooks[direction]?.(bytes, connection)
    if (verdict === undefined) return this.#fault.judge(direction, bytes, connection)
    if (verdict !== 'pass') this.#fire()
    return verdict
  }

  #cutOnReply(times, concerns) {
    let left = times
    this.#set({
      ...SOUND,
      judge: (direction, bytes, connection) => {
        if (direction === 'requests') {
          if (concerns(bytes, connection)) connection.marks.set('asked', true)
          return 'pass'
        }
        // A greeting is no reply.
        if (left === 0 || !connection.marks.get('asked')) return 'pass'
        left--
        return this.#fire('cut')
      },
    })
  }

  /** Ends the fault in force and begins another. */
  #set(fault) {
    this.#fault = SOUND
    for (const connection of this.#open) connection.heal()
    this.#fault = fault
    this.fired = 0
    for (const { reject } of this.#waiting.splice(0))
      reject(new Error('the fault ended before it had fired so often'))
    void this.listen()?.catch(() => {})
  }

  #fire(verdict) {
    this.fired++
    const due = this.#waiting.filter(({ times }) => this.fired >= times)
    this.#waiting = this.#waiting.filter((waiter) => !due.includes(waiter))
    for (const { resolve } of due) resolve()
    return verdict
  }
}
