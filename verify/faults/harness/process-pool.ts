import { type ChildProcess, fork } from 'node:child_process'

/** What a worker process tells. */
export interface WorkerReport {
  readonly did: string
  readonly message?: string
}

/** How a process ended: killed (perhaps by itself), or by itself, which nobody has asked for. */
export type Ending = 'killed' | `code ${string}`

/** A worker process, which is told orders. */
export interface PooledWorker<Order, Report extends WorkerReport> {
  readonly isAlive: () => boolean
  tell(order: Order): void
  /** Resolves with the next report of this kind; rejects when the worker fails, ends, or says nothing for so long. */
  said(did: Report['did'], timeoutMs: number): Promise<void>
  /** Resolves when the process has ended, with how. */
  readonly ended: Promise<Ending>
  kill(signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): void
}

/** Workers that are ready before they are needed: starting one takes longer than most faults last. */
export interface ProcessPool<Order, Report extends WorkerReport> {
  take(): Promise<PooledWorker<Order, Report>>
  /** Takes a worker back that has finished its trial. */
  giveBack(worker: PooledWorker<Order, Report>): void
  /** Ends all that it has started. */
  close(): Promise<void>
}

/** What the processes of a pool are like. */
export interface PoolOptions {
  /** Arguments of each. Default: none. */
  readonly args?: readonly string[]
  /** What those of mutants say as they die is not worth reading. Default false. */
  readonly quiet?: boolean
}

/** The longest time that a worker may take to start, in ms; a busy machine takes long. */
const START_MS = 180_000

/** Makes a pool of processes that run `file`, with so many spare ones. */
export function processPool<Order, Report extends WorkerReport>(
  file: string,
  spares: number,
  { args = [], quiet = false }: PoolOptions = {},
): ProcessPool<Order, Report> {
  const waiting: Promise<PooledWorker<Order, Report>>[] = []
  const all = new Set<PooledWorker<Order, Report>>()
  const start = async () => {
    const worker = await startWorker<Order, Report>(file, args, quiet ? 'ignore' : 'inherit')
    all.add(worker)
    void worker.ended.then(() => all.delete(worker))
    return worker
  }
  const refill = () => {
    while (waiting.length < spares) {
      const spare = start()
      // Whoever takes it hears of it.
      spare.catch(() => {})
      waiting.push(spare)
    }
  }
  refill()
  return {
    async take() {
      const worker = await (waiting.shift() ?? start())
      refill()
      return worker.isAlive() ? worker : start()
    },
    /** Takes a worker back that has finished its trial. */
    giveBack(worker) {
      if (worker.isAlive()) waiting.unshift(Promise.resolve(worker))
    },
    async close() {
      await Promise.allSettled(waiting.splice(0))
      for (const worker of all) {
        worker.kill('SIGKILL')
        await worker.ended
      }
    },
  }
}

async function startWorker<Order, Report extends WorkerReport>(
  file: string,
  args: readonly string[],
  errors: 'ignore' | 'inherit',
): Promise<PooledWorker<Order, Report>> {
  const worker = workerOf<Order, Report>(
    fork(file, args, { stdio: ['ignore', 'inherit', errors, 'ipc'], execArgv: [] }),
  )
  await worker.said('ready', START_MS)
  return worker
}

function workerOf<Order, Report extends WorkerReport>(child: ChildProcess): PooledWorker<Order, Report> {
  const listeners = new Set<(report: Report | 'ended') => void>()
  let killed = false
  child.on('error', () => {})
  child.on('message', (report: Report) => {
    for (const listener of [...listeners]) listener(report)
  })
  const ended = new Promise<Ending>((resolve) => {
    child.once('exit', (code, signal) => {
      for (const listener of [...listeners]) listener('ended')
      resolve(killed || signal === 'SIGKILL' ? 'killed' : `code ${code}, signal ${signal}`)
    })
  })
  const isAlive = () => child.exitCode === null && child.signalCode === null
  return {
    ended,
    isAlive,
    tell: (order) => {
      if (child.connected) child.send(order as object, () => {})
    },
    said: (did, timeoutMs) =>
      new Promise((resolve, reject) => {
        const end = (error?: Error) => {
          clearTimeout(timer)
          listeners.delete(listener)
          if (error) reject(error)
          else resolve()
        }
        const listener = (report: Report | 'ended') => {
          if (report === 'ended') end(new WorkerEnded())
          else if (report.did === did) end()
          else if (report.did === 'failed') end(new Error(`a worker failed: ${report.message}`))
        }
        const timer = setTimeout(() => end(new Error(`no "${did}" within ${timeoutMs} ms`)), timeoutMs)
        listeners.add(listener)
        if (!isAlive()) end(new WorkerEnded())
      }),
    kill(signal) {
      if (signal === 'SIGKILL') killed = true
      child.kill(signal)
    },
  }
}

/** The worker has ended, which is what happens to workers here. */
export class WorkerEnded extends Error {
  constructor() {
    super('the worker has ended')
  }
}
