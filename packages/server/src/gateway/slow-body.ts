import type { IncomingMessage } from 'node:http'

/** The slowest average rate at which a body may come once its time is over, in bytes a second. */
const SLOWEST = 1024

/**
 * Watches how a body arrives and calls `onTooSlow` once when `timeoutMs` have passed and it has come slower than 1 KiB
 * a second on average: a large upload over a slow line goes on, a trickle that only keeps a connection does not.
 * The time in which nobody reads it, or in which this process stands still, is not the client's.
 */
export function watchBody(request: IncomingMessage, timeoutMs: number, onTooSlow: () => void): void {
  let started: number
  let before: number
  let timer: NodeJS.Timeout
  let stopped = false
  const begin = (): void => {
    started = performance.now()
    // Counted on the socket: listening to the data of the request would set it flowing.
    before = request.socket.bytesRead
  }
  const check = (): void => {
    if (stopped) return
    const ms = performance.now() - started
    const received = request.socket.bytesRead - before
    const isSlow = ms >= timeoutMs && received / (ms / 1000) < SLOWEST
    if (isSlow && !request.isPaused() && !request.complete) onTooSlow()
    else plan(ms < timeoutMs ? timeoutMs - ms : timeoutMs)
  }
  const plan = (ms: number): void => {
    // Timers come before what has arrived meanwhile: that is read first.
    timer = setTimeout(() => setImmediate(check), ms)
    timer.unref()
  }
  begin()
  plan(timeoutMs)
  request.on('resume', begin)
  const stop = (): void => {
    stopped = true
    clearTimeout(timer)
  }
  request.once('end', stop)
  request.once('close', stop)
}
