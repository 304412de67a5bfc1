import { connect } from 'node:net'
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'

/**
 * One client's connection and its counterpart at the server, with a lane for each direction. What arrives is judged at
 * once; what a lane carries keeps its order, ends included.
 */
export class ProxiedConnection {
  /** Set while a fault looks at this connection; cleared with each new fault. */
  marks = new Map()
  /** Bytes are missing: TCP has no gaps, so it cannot go on once the fault ends. */
  lossy = false
  requestBytes = 0
  replyBytes = 0

  /**
   * @param judge `(direction, bytes, connection) => verdict`
   * @param terms `(direction) => { delayMs, sliceBytes, hold }` of the fault in force
   */
  constructor({ id, client, target, judge, terms, onClose }) {
    this.id = id
    this.client = client
    this.server = connect({ ...target, allowHalfOpen: true, noDelay: true })
    client.setNoDelay(true)
    this.requests = new Lane(this.server, () => terms('requests'))
    this.replies = new Lane(client, () => terms('replies'))
    this.#carry(client, 'requests', judge)
    this.#carry(this.server, 'replies', judge)
    let open = 2
    for (const socket of [client, this.server]) socket.once('close', () => --open === 0 && onClose())
  }

  #carry(source, direction, judge) {
    const lane = this[direction]
    source.on('data', (bytes) => {
      if (direction === 'requests') this.requestBytes += bytes.length
      else this.replyBytes += bytes.length
      this.#do(judge(direction, bytes, this), lane, bytes)
    })
    source.on('end', () => lane.push({ end: true }))
    // A reset, or a server that refuses: the other side learns it in its turn, after what came before.
    source.on('error', () => lane.push({ cut: () => this.cut() }))
  }

  #do(verdict, lane, bytes) {
    if (verdict === 'cut') return this.cut()
    if (verdict === 'drop') {
      this.lossy = true
      return
    }
    if (verdict === 'hold') lane.hold()
    lane.push({ bytes })
    if (verdict === 'cut-after') lane.push({ cut: () => this.#leave() })
  }

  /** Resets both sides. */
  cut() {
    this.requests.close()
    this.replies.close()
    this.client.resetAndDestroy()
    this.server.destroy()
  }

  /** Resets the client; the server gets an orderly end, so that it reads first what was sent. */
  #leave() {
    this.requests.close()
    this.replies.close()
    this.client.resetAndDestroy()
    this.server.resume()
    this.server.end(() => this.server.destroySoon())
  }

  /** Ends the server's side, and leaves the client in the belief that all is well. */
  orphan() {
    this.lossy = true
    this.requests.close()
    this.replies.close()
    this.server.destroy()
  }

  /** The fault is over. */
  heal() {
    this.marks.clear()
    if (this.lossy) return this.cut()
    this.requests.release()
    this.replies.release()
  }
}

/** What goes to one socket, in order. */
class Lane {
  #queue = []
  #held = false
  #closed = false
  #running = false

  constructor(sink, terms) {
    this.sink = sink
    this.terms = terms
  }

  push(item) {
    if (this.#closed) return
    this.#queue.push({ ...item, due: performance.now() + this.terms().delayMs })
    void this.#run()
  }

  hold() {
    this.#held = true
  }

  release() {
    this.#held = false
    void this.#run()
  }

  close() {
    this.#closed = true
    this.#queue.length = 0
  }

  async #run() {
    if (this.#running) return
    this.#running = true
    while (!this.#closed && !this.#held && !this.terms().hold) {
      const item = this.#queue.shift()
      if (item === undefined) break
      const waitMs = item.due - performance.now()
      if (waitMs > 0) await sleep(waitMs)
      await this.#deliver(item)
    }
    this.#running = false
  }

  async #deliver({ bytes, end, cut }) {
    if (cut) return cut()
    if (end) return void (this.sink.writable && this.sink.end())
    const size = this.terms().sliceBytes || bytes.length
    for (let at = 0; at < bytes.length && !this.#closed && this.sink.writable; at += size) {
      const flushed = new Promise((resolve) => this.sink.write(bytes.subarray(at, at + size), resolve))
      if (size < bytes.length) await nextTurn()
      else await flushed
    }
  }
}
