import { connect } from 'node:net'
import { onLines } from './lines.ts'
import type { SinkReply, SinkRequest } from './sink-protocol.ts'

/** One request before it has its number. */
export type SinkAsk = SinkRequest extends infer R
  ? R extends { readonly id: number }
    ? Omit<R, 'id'>
    : never
  : never

/** A worker's connection to the sink. */
export interface SinkClient {
  ask(request: SinkAsk): Promise<SinkReply>
}

/** Connects to the sink; the connection lasts as long as the process. */
export function sinkClient(port: number): Promise<SinkClient> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    const waiting = new Map<number, (reply: SinkReply) => void>()
    let count = 0
    socket.setNoDelay(true)
    socket.once('error', reject)
    // The sink goes when the campaign ends, and the worker with it.
    socket.unref()
    onLines(socket, (line) => {
      const reply = JSON.parse(line) as SinkReply
      waiting.get(reply.id)?.(reply)
      waiting.delete(reply.id)
    })
    socket.once('connect', () => {
      resolve({
        ask: (request) =>
          new Promise((answered) => {
            const id = ++count
            waiting.set(id, answered)
            socket.write(`${JSON.stringify({ id, ...request })}\n`)
          }),
      })
    })
  })
}
