import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import type { Target } from '../harness/trial-kind.ts'
import { respFrames } from './resp-frames.ts'

/** What becomes of one request; see README.md of the folder above. */
export type Breakage = 'reset' | 'half' | 'before' | 'silence' | 'hole'

/** All of them. */
export const BREAKAGES: readonly [Breakage, ...Breakage[]] = ['reset', 'half', 'before', 'silence', 'hole']

/** A proxy that knows which reply answers which request. */
export interface BreakingProxy extends Target {
  stop(): Promise<void>
}

/** Decides about each request. */
export type BreakagePlan = (request: Buffer) => Breakage | undefined

const PUSH = '>'.charCodeAt(0)

/** Starts a proxy before a server. What is silent is cut after `silentMs`, as keepalive would cut it later. */
export async function startBreakingProxy(
  target: Target,
  plan: BreakagePlan,
  silentMs: () => number,
): Promise<BreakingProxy> {
  const open = new Set<Socket>()
  const timers = new Set<NodeJS.Timeout>()
  const server = createServer((client) => {
    const upstream = connect(target.port, target.host)
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      open.add(socket)
      socket.setNoDelay(true)
      socket.on('error', () => {})
      socket.on('close', () => {
        open.delete(socket)
        other.destroy()
      })
    }
    const cut = () => {
      client.resetAndDestroy()
      upstream.destroy()
    }
    const cutLater = () => {
      const timer = setTimeout(() => {
        timers.delete(timer)
        cut()
      }, silentMs())
      timers.add(timer)
    }
    const requests = respFrames()
    const replies = respFrames()
    /** What is to become of the replies that are due, in their order. */
    const due: (Breakage | undefined)[] = []
    let deaf = false
    let mute = false

    client.on('data', (bytes) => {
      if (deaf) return
      for (const request of requests.push(bytes)) {
        const breakage = plan(request)
        if (breakage === 'before') return cut()
        if (breakage === 'hole') {
          deaf = true
          mute = true
          return cutLater()
        }
        due.push(breakage)
        upstream.write(request)
      }
    })
    upstream.on('data', (bytes) => {
      if (mute) return
      for (const reply of replies.push(bytes)) {
        const breakage = reply[0] === PUSH ? undefined : due.shift()
        if (breakage === undefined) client.write(reply)
        else if (breakage === 'silence') {
          mute = true
          return cutLater()
        } else if (breakage === 'half') {
          client.write(reply.subarray(0, Math.ceil(reply.length / 2)))
          // The half has to arrive before the reset, which overtakes what was not read.
          mute = true
          setImmediate(() => setImmediate(cut))
          return
        } else return cut()
      }
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    host: '127.0.0.1',
    port: (server.address() as AddressInfo).port,
    async stop() {
      for (const timer of timers) clearTimeout(timer)
      server.close()
      for (const socket of open) socket.destroy()
      await once(server, 'close')
    },
  }
}
