import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const WORKER = fileURLToPath(new URL('./worker.mjs', import.meta.url))

/** A process of one contestant, as the benchmark sees it. */
export class LockProcess {
  /** @type {import('node:child_process').ChildProcess} */ #child
  /** @type {Promise<never>} */ #ended

  constructor() {
    this.#child = fork(WORKER)
    this.#ended = once(this.#child, 'exit').then(([code]) => {
      throw new Error(`the process of a contestant ended with ${code}`)
    })
    this.#ended.catch(() => {})
  }

  /** @param {string} name @param {string} url @param {number} ttlMs */
  static async open(name, url, ttlMs) {
    const process = new LockProcess()
    await process.#word()
    await process.tell({ do: 'open', name, url, ttlMs })
    return process
  }

  /** @param {import('./worker.mjs').Order} order @returns {Promise<any>} */
  async tell(order) {
    const answer = this.#word()
    this.#child.send(order)
    return answer
  }

  /** Lets go of everything, and waits until the process has ended. */
  async stop() {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const ended = once(this.#child, 'exit')
    try {
      await this.tell({ do: 'close' })
    } finally {
      this.#child.disconnect()
      await ended
    }
  }

  async #word() {
    const [word] = await Promise.race([once(this.#child, 'message'), this.#ended])
    if (word.failed !== undefined) throw new Error(word.failed)
    return word.said
  }
}
