import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Order, Report } from './orders.ts'

/** How a process ended: killed, as planned, or by itself, which nobody has asked for. */
export type Ending = 'killed' | `code ${string}`

/** A worker process. */
export interface WorkerProcess {
  readonly pid: number
  readonly isAlive: () => boolean
  tell(order: Order): void
  /** Resolves with the next report of this kind; rejects when the worker fails, or says nothing for so long. */
  said(did: Report['did'], timeoutMs: number): Promise<void>
  /** Resolves when the process has ended, with how. */
  readonly ended: Promise<Ending>
  kill(signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): void
}

/** What a spare worker loads before it is needed: under load, loading takes longer than a trial. */
export interface Warm {
  /** The folder of a library. */
  readonly library?: string
  /** Packages. */
  readonly drivers: readonly string[]
}

/** Workers that are ready before they are needed: starting one takes longer than most faults last. */
export interface WorkerPool {
  take(): Promise<WorkerProcess>
  /** Takes a worker back that has finished its trial. */
  giveBack(worker: WorkerProcess): void
  /** Ends all that wait. */
  close(): Promise<void>
}

/** Makes a pool that keeps so many spare workers. */
export function workerPool(spares: number, warm: Warm): WorkerPool {
  const waiting: Promise<WorkerProcess>[] = []
  const refill = () => {
    while (waiting.length < spares) {
      const spare = startWorker(warm)
      // Whoever takes it hears of it.
      spare.catch(() => {})
      waiting.push(spare)
    }
  }
  refill()
  return {
    async take() {
      const worker = await (waiting.shift() ?? startWorker(warm))
      refill()
      return worker.isAlive() ? worker : startWorker(warm)
    },
    giveBack(worker) {
      if (worker.isAlive()) waiting.unshift(Promise.resolve(worker))
    },
    async close() {
      for (const spare of await Promise.allSettled(waiting.splice(0))) {
        if (spare.status === 'rejected') continue
        spare.value.kill('SIGKILL')
        await spare.value.ended
      }
    },
  }
}

/** The longest time that a worker may take to start, in ms; a busy machine takes long. */
const START_MS = 180_000

async function startWorker(warm: Warm): Promise<WorkerProcess> {
  const file = fileURLToPath(new URL('run-worker.js', import.meta.url))
  const child = fork(file, [JSON.stringify(warm)], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    execArgv: [],
  })
  const worker = workerProcess(child)
  await worker.said('ready', START_MS)
  return worker
}

function workerProcess(child: ChildProcess): WorkerProcess {
  const listeners = new Set<(report: Report | 'ended') => void>()
  const tellAll = (report: Report | 'ended') => {
    for (const listener of [...listeners]) listener(report)
  }
  let alive = true
  const ended = new Promise<Ending>((resolve) => {
    child.once('exit', (code, signal) => {
      alive = false
      tellAll('ended')
      resolve(signal === 'SIGKILL' ? 'killed' : `code ${code}, signal ${signal}`)
    })
  })
  child.on('message', (report: Report) => tellAll(report))
  child.on('error', () => {})
  return {
    pid: child.pid ?? 0,
    isAlive: () => alive,
    ended,
    tell(order) {
      if (alive && child.connected) child.send(order, () => {})
    },
    said(did, timeoutMs) {
      return new Promise((resolve, reject) => {
        const end = (error?: Error) => {
          clearTimeout(timer)
          listeners.delete(listener)
          if (error) reject(error)
          else resolve()
        }
        const listener = (report: Report | 'ended') => {
          if (report === 'ended') end(new WorkerEnded())
          else if (report.did === 'failed') end(new Error(`a worker failed: ${report.message}`))
          else if (report.did === did) end()
        }
        const timer = setTimeout(
          () => end(new Error(`a worker did not say "${did}" in ${timeoutMs} ms`)),
          timeoutMs,
        )
        listeners.add(listener)
        if (!alive) end(new WorkerEnded())
      })
    },
    kill(signal) {
      if (alive) child.kill(signal)
    },
  }
}

/** The worker has ended, which is what happens to workers here. */
export class WorkerEnded extends Error {
  constructor() {
    super('the worker has ended')
  }
}
