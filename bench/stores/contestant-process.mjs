// The process of one contestant: node contestant-process.mjs MODULE NAME URL. It measures when it is told to.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { createMeasure } from './measure.mjs'

/**
 * @typedef {{ kind: import('./measure.mjs').Kind, inFlight: number, ms: number }} Order
 * @typedef {{ sample: import('./measure.mjs').Sample } | { failed: string } | 'trips'} Word
 */

/** So long the code of a contestant is run before anything counts, so that it is compiled, in ms. */
const WARM_UP_MS = 500

/** One contestant in a process of its own, with its own heap and its own compiled code. */
export class ContestantProcess {
  /** @type {import('node:child_process').ChildProcess} */ #child
  /** @type {() => Promise<number>} */ #trips

  /**
   * @param {string} module The module that exports `contestants`, and `trips` where the client can count them.
   * @param {string} name
   * @param {string} url
   * @param {() => Promise<number>} trips Counts round trips on the server.
   */
  constructor(module, name, url, trips) {
    this.#child = fork(fileURLToPath(import.meta.url), [module, name, url])
    this.#trips = trips
  }

  /** @param {Order} order @returns {Promise<import('./measure.mjs').Sample>} */
  async measure(order) {
    this.#child.send(order)
    for (;;) {
      const [word] = await this.#word()
      if (word === 'trips') this.#child.send(await this.#trips())
      else if ('failed' in word) throw new Error(word.failed)
      else return word.sample
    }
  }

  /** Runs the contestant for a while; nothing of it counts. */
  async warmUp() {
    await this.measure({ kind: 'replay', inFlight: 64, ms: WARM_UP_MS })
    await this.measure({ kind: 'fresh', inFlight: 64, ms: WARM_UP_MS })
  }

  /** Ends the process and waits until it has ended. */
  async stop() {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const ended = once(this.#child, 'exit')
    this.#child.disconnect()
    await ended
  }

  /** @returns {Promise<[Word]>} */
  #word() {
    const ended = once(this.#child, 'exit').then(([code]) => {
      throw new Error(`the process of a contestant ended with ${code}`)
    })
    ended.catch(() => {})
    return /** @type {Promise<[Word]>} */ (Promise.race([once(this.#child, 'message'), ended]))
  }
}

if (process.send !== undefined && process.argv[1] === fileURLToPath(import.meta.url)) {
  const [module = '', name = '', url = ''] = process.argv.slice(2)
  const { contestants, trips = askForTrips } = await import(module)
  const contestant = /** @type {import('./contestant.mjs').Contestant} */ (
    contestants.find((/** @type {{ name: string }} */ one) => one.name === name)
  )
  const { knownKeys } = contestant
  const measure = createMeasure()
  process.on('disconnect', () => process.exit(0))
  for (;;) {
    const [{ kind, inFlight, ms }] = /** @type {[Order]} */ (await once(process, 'message'))
    try {
      const open = await contestant.open(url)
      const sample = await measure(open, kind, { inFlight, ms, trips, knownKeys })
      await open.close()
      process.send(/** @type {Word} */ ({ sample }))
    } catch (error) {
      process.send(
        /** @type {Word} */ ({ failed: `${name}: ${error instanceof Error ? error.stack : error}` }),
      )
    }
  }
}

/** @returns {Promise<number>} */
async function askForTrips() {
  process.send?.(/** @type {Word} */ ('trips'))
  const [count] = await once(process, 'message')
  return Number(count)
}
