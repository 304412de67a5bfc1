import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { LockOrder, LockReport } from './run-lock-worker.ts'

/** A worker process. */
export interface LockWorker {
  readonly isAlive: () => boolean
  tell(order: LockOrder): void
  /** Resolves with the next report of this kind; rejects when the worker fails, ends, or says nothing for so long. */
  said(did: LockReport['did'], timeoutMs: number): Promise<void>
  /** Resolves when the process has ended: whether it was killed, or ended by itself. */
  readonly ended: Promise<'killed' | 'by itself'>
  kill(signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): void
}

/** Workers that are started before they are needed. */
export interface LockPool {
  take(): Promise<LockWorker>
  giveBack(worker: LockWorker): void
  close(): Promise<void>
}

/** The longest time that a worker may take to start, in ms; a busy machine takes long. */
const START_MS = 120_000

/** Makes a pool that keeps so many spare workers. What those of mutants say as they die is not worth reading. */
export function lockPool(spares: number, { quiet = false }: { readonly quiet?: boolean } = {}): LockPool {
  const waiting: Promise<LockWorker>[] = []
  const all = new Set<LockWorker>()
  const start = async () => {
    const worker = await startWorker(quiet ? 'ignore' : 'inherit')
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

async function startWorker(errors: 'ignore' | 'inherit'): Promise<LockWorker> {
  const file = fileURLToPath(new URL('run-lock-worker.js', import.meta.url))
  const worker = workerOf(fork(file, [], { stdio: ['ignore', 'inherit', errors, 'ipc'], execArgv: [] }))
  await worker.said('ready', START_MS)
  return worker
}

function workerOf(child: ChildProcess): LockWorker {
  const listeners = new Set<(report: LockReport | 'ended') => void>()
  let killed = false
  child.on('message', (report: LockReport) => {
    for (const listener of [...listeners]) listener(report)
  })
  const ended = new Promise<'killed' | 'by itself'>((resolve) => {
    child.once('exit', () => {
      for (const listener of [...listeners]) listener('ended')
      resolve(killed ? 'killed' : 'by itself')
    })
  })
  const isAlive = () => child.exitCode === null && child.signalCode === null
  return {
    ended,
    isAlive,
    tell: (order) => {
      if (child.connected) child.send(order, () => {})
    },
    said: (did, timeoutMs) =>
      new Promise((resolve, reject) => {
        const end = (error?: Error) => {
          clearTimeout(timer)
          listeners.delete(listener)
          if (error) reject(error)
          else resolve()
        }
        const listener = (report: LockReport | 'ended') => {
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
