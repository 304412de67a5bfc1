import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'

/** A server process of a benchmark. */
export class Child {
  /** @type {import('node:child_process').ChildProcess} */ #process
  /** @type {string[]} */ #errors = []
  /** Where it listens, without a slash at the end. */
  url = ''

  /** @param {import('node:child_process').ChildProcess} child */
  constructor(child) {
    this.#process = child
    child.stderr?.on('data', (chunk) => this.#errors.push(String(chunk)))
  }

  /**
   * Starts `node` with `args` and waits for a line with a URL in it.
   *
   * @param {readonly string[]} args
   */
  static async start(args) {
    const started = spawn(process.execPath, args, {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      env: { ...process.env, NODE_ENV: 'production' },
    })
    const child = new Child(started)
    const lines = createInterface({ input: /** @type {import('node:stream').Readable} */ (started.stdout) })
    const ready = new Promise((resolve, reject) => {
      lines.on('line', (line) => {
        const url = /listening on (http:\/\/[^\s"/]+)/.exec(line)?.[1]
        if (url !== undefined) resolve(url)
      })
      started.once('exit', (code) => {
        const why = child.#errors.join('') || '(it said nothing)'
        reject(new Error(`node ${args.join(' ')} ended with ${code} before it listened:\n${why}`))
      })
    })
    child.url = await ready
    return child
  }

  /** CPU time used so far, in ms, of all its threads. */
  cpuMs() {
    // After the name in brackets, which may hold spaces: user time is the 12th field, system time the 13th.
    const fields = readFileSync(`/proc/${this.#process.pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
    return (Number(fields[11]) + Number(fields[12])) * MS_PER_TICK
  }

  /** Memory now and at most so far, in MiB. */
  memoryMiB() {
    const status = readFileSync(`/proc/${this.#process.pid}/status`, 'utf8')
    const field = (/** @type {string} */ name) =>
      Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1]) / 1024
    return { now: field('VmRSS'), most: field('VmHWM') }
  }

  /** Asks the process something over IPC. @param {string} question @returns {Promise<unknown>} */
  async ask(question) {
    this.#process.send(question)
    const [answer] = await once(this.#process, 'message')
    return answer
  }

  /** Ends it and waits until it has. */
  async stop() {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    const ended = once(this.#process, 'exit')
    this.#process.kill('SIGTERM')
    const force = setTimeout(() => this.#process.kill('SIGKILL'), 5000)
    await ended
    clearTimeout(force)
  }
}

/** Linux counts CPU time in hundredths of a second. */
const MS_PER_TICK = 10
