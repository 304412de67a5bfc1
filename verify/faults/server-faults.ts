import type { TestServer } from '../../test-servers/index.d.mts'

/** Ends and stops a server, and brings it back. */
export interface ServerFaults {
  /** SIGKILL to all of its processes; it comes back, with its data, after so many ms. */
  kill(forMs: number): Promise<void>
  /** SIGSTOP to all of its processes for so many ms. */
  stop(forMs: number): Promise<void>
  /** Brings it back now; resolves when it answers. */
  heal(): Promise<void>
}

/** Makes the faults of one server; one of them happens at a time. */
export function serverFaults(server: TestServer): ServerFaults {
  let back: (() => Promise<void>) | undefined
  const begin = (forMs: number, bringBack: () => Promise<unknown>) => {
    let once: Promise<void> | undefined
    const bring = () => {
      once ??= bringBack().then(() => {})
      return once
    }
    const timer = setTimeout(() => void bring().catch(() => {}), forMs)
    back = () => {
      clearTimeout(timer)
      return bring()
    }
  }
  const heal = async () => {
    const bring = back
    back = undefined
    await bring?.()
  }
  return {
    async kill(forMs) {
      await heal()
      await server.kill()
      begin(forMs, () => server.restart())
    },
    async stop(forMs) {
      await heal()
      await server.pause()
      begin(forMs, () => server.resume())
    },
    heal,
  }
}
