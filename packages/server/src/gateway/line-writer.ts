import { write, writeSync } from 'node:fs'

/** Writes lines to a file descriptor without waiting for its reader. */
export interface LineWriter {
  write(line: string): void
  /** Writes what still waits, synchronously; gives up at the first error. */
  flush(): void
}

/** How soon a reader that was behind is tried again, in ms. */
const RETRY_MS = 50

/**
 * Writes one batch of lines at a time. When more than `maxWaitingBytes` wait, lines are dropped; once the reader has
 * gone, all are. Neither stops what is logged about: the writer of pino tries forever to bring its last lines out to a
 * reader that has gone, and the process never ends.
 */
export function lineWriter(fd: number, maxWaitingBytes: number): LineWriter {
  let waiting: string[] = []
  let waitingBytes = 0
  let writing = false
  let gone = false
  const next = (): void => {
    if (writing || gone || waiting.length === 0) return
    const batch = Buffer.from(waiting.join(''))
    waiting = []
    waitingBytes = 0
    writing = true
    put(batch)
  }
  const put = (batch: Buffer): void => {
    write(fd, batch, (error, written) => {
      if (error?.code === 'EAGAIN') return void setTimeout(put, RETRY_MS, batch).unref()
      if (error) gone = true
      else if (written < batch.length) return put(batch.subarray(written))
      writing = false
      next()
    })
  }
  return {
    write(line) {
      const bytes = Buffer.byteLength(line)
      if (gone || waitingBytes + bytes > maxWaitingBytes) return
      waiting.push(line)
      waitingBytes += bytes
      next()
    },
    flush() {
      if (gone) return
      try {
        for (const line of waiting.splice(0)) writeSync(fd, line)
      } catch {
        // Nobody reads any more, or not now; there is nobody to tell.
      }
      waitingBytes = 0
    },
  }
}
