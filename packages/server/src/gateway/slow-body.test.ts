import { EventEmitter, once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { watchBody } from './slow-body.ts'

/** A request whose body arrives as the test says. */
class Arriving extends EventEmitter {
  readonly socket = { bytesRead: 500 }
  complete = false
  paused = false
  isPaused(): boolean {
    return this.paused
  }
}

describe('the watch over a body', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())
  const watched = () => {
    const request = new Arriving()
    const onTooSlow = vi.fn()
    watchBody(request as unknown as IncomingMessage, 30_000, onTooSlow)
    return { request, onTooSlow }
  }

  it('calls once when its time is over and hardly anything has come', () => {
    const { request, onTooSlow } = watched()
    request.socket.bytesRead += 30 * 1023
    vi.advanceTimersByTime(29_999)
    expect(onTooSlow).not.toHaveBeenCalled()
    vi.advanceTimersByTime(600_000)
    expect(onTooSlow).toHaveBeenCalledOnce()
  })

  it('lets a body go on for as long as it comes at 1 KiB a second', () => {
    const { request, onTooSlow } = watched()
    for (let minute = 0; minute < 60; minute++) {
      request.socket.bytesRead += 60 * 1024
      vi.advanceTimersByTime(60_000)
    }
    expect(onTooSlow).not.toHaveBeenCalled()
    vi.advanceTimersByTime(600_000)
    expect(onTooSlow).toHaveBeenCalledOnce()
  })

  it('does not blame a client that is not being read, and looks again', () => {
    const { request, onTooSlow } = watched()
    request.paused = true
    vi.advanceTimersByTime(300_000)
    expect(onTooSlow).not.toHaveBeenCalled()
    request.paused = false
    vi.advanceTimersByTime(30_000)
    expect(onTooSlow).toHaveBeenCalledOnce()
  })

  it('does not count the time in which nobody read against the client', () => {
    const { request, onTooSlow } = watched()
    request.paused = true
    vi.advanceTimersByTime(595_000)
    request.paused = false
    request.emit('resume')
    for (let second = 0; second < 60; second++) {
      request.socket.bytesRead += 2048
      vi.advanceTimersByTime(1000)
    }
    expect(onTooSlow).not.toHaveBeenCalled()
    vi.advanceTimersByTime(600_000)
    expect(onTooSlow).toHaveBeenCalledOnce()
  })

  it.each(['end', 'close'])('stops at %s', (event) => {
    const { request, onTooSlow } = watched()
    request.emit(event)
    vi.advanceTimersByTime(300_000)
    expect(onTooSlow).not.toHaveBeenCalled()
    expect(vi.getTimerCount()).toBe(0)
  })
})

it('does not blame a client whose bytes came while this process stood still', async () => {
  const onTooSlow = vi.fn()
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
  client.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n')
  const [request] = (await once(server, 'request')) as [IncomingMessage]
  watchBody(request, 100, onTooSlow)
  request.on('error', () => {})
  request.resume()
  await once(request, 'resume')
  client.write(Buffer.alloc(10_000))
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300)
  await once(request, 'data')
  expect(onTooSlow).not.toHaveBeenCalled()
  client.destroy()
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})
