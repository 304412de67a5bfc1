import { connect, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** Below the range from which systems take the ports of outgoing connections, so that a restart finds its port free. */
const FIRST = 10_240
const LAST = 32_000

/** A port of the loopback that was free a moment ago. */
export async function freePort() {
  for (;;) {
    const port = FIRST + Math.floor(Math.random() * (LAST - FIRST))
    if (await canListen(port)) return port
  }
}

function canListen(port) {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)))
  })
}

/** Waits until something accepts connections there. */
export async function waitForPort(port, { host = '127.0.0.1', timeoutMs = 10_000 } = {}) {
  const until = Date.now() + timeoutMs
  for (;;) {
    if (await accepts(port, host)) return
    if (Date.now() > until) throw new Error(`nothing listens at ${host}:${port} after ${timeoutMs} ms`)
    await sleep(20)
  }
}

function accepts(port, host) {
  return new Promise((resolve) => {
    const socket = connect({ port, host })
    socket.once('error', () => resolve(false))
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
  })
}
