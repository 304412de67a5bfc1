import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

/** The sink, as its parent sees it. */
export interface Sink {
  readonly port: number
  /** Begins to write the effects of a trial to a file. */
  open(trial: string, file: string): Promise<void>
  /** Ends it; what comes later is not answered. */
  close(trial: string): Promise<void>
  stop(): Promise<void>
}

/** Starts the sink's process. */
export async function startSink(): Promise<Sink> {
  const child = fork(fileURLToPath(new URL('run-sink.js', import.meta.url)), { execArgv: [] })
  const [{ port }] = (await once(child, 'message')) as [{ readonly port: number }]
  const done = new Map<string, () => void>()
  child.on('message', ({ did, trial }: { readonly did: string; readonly trial: string }) => {
    done.get(`${did} ${trial}`)?.()
    done.delete(`${did} ${trial}`)
  })
  const order = (what: 'open' | 'close', trial: string, file?: string) =>
    new Promise<void>((resolve) => {
      done.set(`${what} ${trial}`, resolve)
      child.send({ do: what, trial, file })
    })
  return {
    port,
    open: (trial, file) => order('open', trial, file),
    close: (trial) => order('close', trial),
    async stop() {
      const ended = once(child, 'exit')
      child.disconnect()
      await ended
    },
  }
}
