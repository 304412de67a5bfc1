import { type ChildProcess, fork } from 'node:child_process'

/** What a worker process tells. */
export interface WorkerReport {
  readonly did: string
  readonly message?: string
}

/** A worker process, which is told orders. */
export interface PooledWorker<Order, Report extends WorkerReport> {
  readonly isAlive: () => boolean
  tell(order: Order): void
  /** Resolves with the next report of this kind; rejects when the worker fails, ends, or says nothing for so long. */
  said(did: Report['did'], timeoutMs: number): Promise<void>
  /** Resolves when the process has ended: whether it was killed (perhaps by itself), or came to its end. */
  readonly ended: Promise<'killed' | 'by itself'>
  kill(signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): void
}

/** Workers that are started before they are needed. */
export interface ProcessPool<Order, Report extends WorkerReport> {
  take(): Promise<PooledWorker<Order, Report>>
  giveBack(worker: PooledWorker<Order, Report>): void
  close(): Promise<void>
}

/** The longest time that a worker may take to start, in ms; a busy machine takes long. */
const START_MS = 120_000

/** Makes a pool of processes that run `file`, with so many spare ones. What those of mutants say as they die is not worth reading. */
export function processPool<Order, Report extends WorkerReport>(
  file: string,
  spares: number,
  { quiet = false }: { readonly quiet?: boolean } = {},
): ProcessPool<Order, Report> {
  const waiting: Promise<PooledWorker<Order, Report>>[] = []
  const all = new Set<PooledWorker<Order, Report>>()
  const start = async () => {
    const worker = await startWorker<Order, Report>(file, quiet ? 'ignore' : 'inherit')
    all.add(worker)
    void worker.ended.then(() => all.delete(worker))
    return worker
  }
  const refill = () => {
    while (waiting.length < spares) {
      const spare = start()
      spare.catch(() => {})
      waiting.push(spare)
    }
  }
  return {
    async take() {
      refill()
      const worker = await (waiting.shift() ?? start())
      return worker.isAlive() ? worker : start()
    },
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
  errors: 'ignore' | 'inherit',
): Promise<PooledWorker<Order, Report>> {
  const worker = workerOf<Order, Report>(
    fork(file, [], { stdio: ['ignore', 'inherit', errors, 'ipc'], execArgv: [] }),
  )
  await worker.said('ready', START_MS)
  return worker
}

function workerOf<Order, Report extends WorkerReport>(child: ChildProcess): PooledWorker<Order, Report> {
  const listeners = new Set<(report: Report | 'ended') => void>()
  let killed = false
  child.on('message', (report: Report) => {
    for (const listener of [...listeners]) listener(report)
  })
  const ended = new Promise<'killed' | 'by itself'>((resolve) => {
    child.once('exit', (_code, signal) => {
      for (const listener of [...listeners]) listener('ended')
      resolve(killed || signal === 'SIGKILL' ? 'killed' : 'by itself')
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
          if (report === 'ended') end(new Error('the worker ended'))
          else if (report.did === did) end()
          else if (report.did === 'failed') end(new Error(report.message))
        }
        const timer = setTimeout(() => end(new Error(`no "${did}" within ${timeoutMs} ms`)), timeoutMs)
        listeners.add(listener)
        if (!isAlive()) end(new Error('the worker has ended'))
      }),
    kill(signal) {
      if (signal === 'SIGKILL') killed = true
      child.kill(signal)
    },
  }
}
