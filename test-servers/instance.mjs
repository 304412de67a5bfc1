import { spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { chmod, chown, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { guardFolder, guardServer, unguardFolder, unguardServer } from './guarded.mjs'
import { freePort } from './ports.mjs'
import { descendantsOf, endAll, gone, haltAll, signalAll } from './processes.mjs'
import { noteUse } from './run.mjs'

/** A server may take so long until it answers, on a machine that is busy with other things. */
const START_MS = 60_000

/** Somebody else may take a free port before the server does. */
const PORTS_TO_TRY = 5

const FATAL = new Set(['SIGKILL', 'SIGTERM', 'SIGINT', 'SIGQUIT'])

/**
 * Starts an instance of a server in a temporary folder and on a free port.
 *
 * @param spec
 * - `engine`, `program` (of `programOf`)
 * - `prepare({ folder, port })`: writes what the server needs, once; may answer more of the place, such as another port
 * - `args({ folder, port, … })`: the command line
 * - `ready({ port })`: rejects until the server answers; what it resolves to is the version
 * - `url({ port })`
 * - `endSignal`: the quickest clean way to end it. Default SIGKILL
 * - `user`: `{ uid, gid }` as whom it runs, if not as ourselves
 * - `dataFolder`: a folder of the caller's, which stays
 * - `env`, or a function of `{ folder, port, … }`
 */
export async function startInstance(spec) {
  for (let tried = 1; ; tried++) {
    const instance = new Instance(spec, await freePort())
    try {
      await instance.create()
      await noteUse({ engine: spec.engine, version: instance.version, source: spec.program.source })
      return instance
    } catch (error) {
      const taken = /already in use|could not bind|Failed listening|Do you already have another/i.test(
        await instance.log(),
      )
      await instance.stop()
      if (!taken || tried === PORTS_TO_TRY) throw error
    }
  }
}

/** One server: see `TestServer` in index.d.mts. */
class Instance {
  #spec
  #child
  #stopped = false
  #prepared = {}

  constructor(spec, port) {
    this.#spec = spec
    this.engine = spec.engine
    this.source = spec.program.source
    this.version = ''
    this.host = '127.0.0.1'
    this.port = port
    this.folder = ''
    this.url = spec.url({ port })
  }

  get pid() {
    return this.#child?.pid
  }

  async create() {
    const { engine, user, dataFolder, prepare } = this.#spec
    this.folder = dataFolder ?? (await mkdtemp(join(tmpdir(), `onceward-${engine}-`)))
    if (dataFolder === undefined) guardFolder(this.folder)
    if (user) {
      await chown(this.folder, user.uid, user.gid)
      await chmod(this.folder, 0o700)
    }
    this.#prepared = (await prepare?.({ folder: this.folder, port: this.port })) ?? {}
    await this.#start()
  }

  async #start() {
    const { program, args, env, user, engine } = this.#spec
    const log = openSync(join(this.folder, 'output.log'), 'a')
    const place = { folder: this.folder, port: this.port, ...this.#prepared }
    const own = typeof env === 'function' ? env(place) : env
    const child = spawn(program.file, args(place), {
      cwd: this.folder,
      env: { PATH: process.env['PATH'] ?? '', LC_ALL: 'C', TMPDIR: this.folder, ...program.env, ...own },
      stdio: ['ignore', log, log],
      // Its own group: a terminal's interrupt is for us, and we end it.
      detached: true,
      ...user,
    })
    closeSync(log)
    const ended = new Promise((resolve) => {
      child.once('error', (error) => resolve(error.message))
      child.once('exit', (code, signal) => resolve(`it ended with ${signal ?? `code ${code}`}`))
    })
    if (child.pid === undefined) throw new Error(`${engine} does not start: ${await ended}`)
    const { pid } = child
    guardServer(pid, this.#spec.endSignal ?? 'SIGKILL')
    child.unref()
    this.#child = child
    let over
    void ended.then((why) => {
      over = why
      unguardServer(pid)
      if (this.#child === child) this.#child = undefined
    })
    await this.#answers(() => over)
  }

  async #answers(over) {
    const until = Date.now() + START_MS
    for (let pauseMs = 5; ; pauseMs = Math.min(pauseMs * 1.5, 100)) {
      let reason
      try {
        this.version = (await this.#spec.ready({ port: this.port })) ?? this.version
        return
      } catch (error) {
        reason = error
      }
      if (over()) throw new Error(`${this.engine} does not start: ${over()}\n${await this.#lastWords()}`)
      if (Date.now() > until) {
        throw new Error(`${this.engine} does not answer: ${reason.message}\n${await this.#lastWords()}`)
      }
      await sleep(pauseMs)
    }
  }

  async kill(signal = 'SIGKILL') {
    const child = this.#running()
    if (!FATAL.has(signal)) return signalAll([child.pid], signal)
    // None of it is to be left, with its memory or its port; nor is the server to notice the end of its workers first.
    const family = signal === 'SIGKILL' ? await haltAll(child.pid) : [child.pid, ...descendantsOf(child.pid)]
    signalAll(signal === 'SIGKILL' ? family : [child.pid], signal)
    await this.#ended(child, family)
  }

  async pause() {
    await haltAll(this.#running().pid)
  }

  async resume() {
    const { pid } = this.#running()
    signalAll([pid, ...descendantsOf(pid)], 'SIGCONT')
  }

  async restart(signal = 'SIGKILL') {
    if (this.#stopped) throw new Error(`this ${this.engine} was stopped, and its data is gone`)
    if (this.#child) await this.kill(signal)
    await this.#start()
  }

  async stop() {
    if (this.#stopped) return
    this.#stopped = true
    const child = this.#child
    if (child?.pid !== undefined) {
      await endAll(child.pid, this.#spec.endSignal ?? 'SIGKILL')
      await this.#ended(child, [child.pid])
    }
    if (this.#spec.dataFolder !== undefined || this.folder === '') return
    await rm(this.folder, { recursive: true, force: true, maxRetries: 5 })
    unguardFolder(this.folder)
  }

  async log() {
    return readFile(join(this.folder, 'output.log'), 'utf8').catch(() => '')
  }

  [Symbol.asyncDispose]() {
    return this.stop()
  }

  #running() {
    if (this.#child?.pid === undefined) throw new Error(`this ${this.engine} does not run`)
    return this.#child
  }

  async #ended(child, family) {
    if (!(await gone(family, START_MS))) throw new Error(`${this.engine} (${child.pid}) does not end`)
    // Its parent, who is us, may learn of it a little later.
    while (this.#child === child) await sleep(1)
  }

  async #lastWords() {
    return (await this.log()).trim().split('\n').slice(-15).join('\n')
  }
}
