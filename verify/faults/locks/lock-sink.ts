import { connect, createServer, type Socket } from 'node:net'
import { onLines } from '../lines.ts'
import type { LockHistory } from './lock-events.ts'

/** A request to the fenced resource: a counter for each key, which is read and then written. */
export interface SinkRequest {
  readonly id: number
  readonly key: string
  readonly call: string
  readonly op: 'read' | 'write'
  readonly fence: number
  /** What is to be written. */
  readonly value: number
}

/** Its answer. Not accepted: a greater fence was here before. */
export interface SinkAnswer {
  readonly id: number
  readonly accepted: boolean
  readonly value: number
}

/** The world outside: counters that refuse smaller fences than they have seen. It knows nothing of locks. */
export interface LockSink {
  readonly port: number
  /** Writes what befalls these keys to a history, until the answer is called. */
  record(keys: readonly string[], history: LockHistory): () => void
  stop(): Promise<void>
}

/** Starts it inside this process, which no fault befalls. */
export async function startLockSink(): Promise<LockSink> {
  const counters = new Map<string, { fence: number; value: number }>()
  const histories = new Map<string, LockHistory>()
  const decide = ({ id, key, call, op, fence, value }: SinkRequest): SinkAnswer => {
    const counter = counters.get(key) ?? { fence: 0, value: 0 }
    counters.set(key, counter)
    const before = counter.value
    const accepted = fence >= counter.fence
    if (accepted) counter.fence = fence
    if (accepted && op === 'write') counter.value = value
    histories.get(key)?.note({ k: 'sunk', key, call, op, fence, accepted, value: counter.value, before })
    return { id, accepted, value: counter.value }
  }
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    socket.setNoDelay(true)
    socket.on('error', () => {})
    onLines(socket, (line) => socket.write(`${JSON.stringify(decide(JSON.parse(line) as SinkRequest))}\n`))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    record(keys, history) {
      for (const key of keys) histories.set(key, history)
      return () => {
        for (const key of keys) {
          histories.delete(key)
          counters.delete(key)
        }
      }
    },
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  }
}

/** A worker's way to the resource. */
export type AskSink = (request: Omit<SinkRequest, 'id'>) => Promise<SinkAnswer>

/** Connects; the connection lasts as long as the process. */
export function lockSinkClient(port: number): Promise<AskSink> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    const waiting = new Map<number, (answer: SinkAnswer) => void>()
    let count = 0
    socket.setNoDelay(true)
    socket.once('error', reject)
    onLines(socket, (line) => {
      const answer = JSON.parse(line) as SinkAnswer
      waiting.get(answer.id)?.(answer)
      waiting.delete(answer.id)
    })
    socket.once('connect', () =>
      resolve(
        (request) =>
          new Promise((answered) => {
            const id = ++count
            waiting.set(id, answered)
            socket.write(`${JSON.stringify({ id, ...request })}\n`)
          }),
      ),
    )
  })
}
