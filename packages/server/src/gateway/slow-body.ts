import type { IncomingMessage } from 'node:http'

/** The slowest average rate at which a body may come once its time is over, in bytes a second. */
const SLOWEST = 1024

/**
 * Watches how a body arrives and calls `onTooSlow` once when `timeoutMs` have passed and it has come slower than 1 KiB
 * a second on average: a large upload over a slow line goes on, a trickle that only keeps a connection does not.
 */
export function watchBody(request: IncomingMessage, timeoutMs: number, onTooSlow: () => void): void {
  const started = performance.now()
  // Counted on the socket: listening to the request itself would set it flowing.
  const before = request.socket.bytesRead
  const check = (): void => {
    const seconds = (performance.now() - started) / 1000
    const received = request.socket.bytesRead - before
    if (received / seconds < SLOWEST && !request.isPaused() && !request.complete) {
      onTooSlow()
      return
    }
    timer = setTimeout(check, timeoutMs)
    timer.unref()
  }
  let timer = setTimeout(check, timeoutMs)
  timer.unref()
  const stop = (): void => clearTimeout(timer)
  request.once('end', stop)
  request.once('close', stop)
}
