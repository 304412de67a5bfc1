import { connect, createServer, type Socket } from 'node:net'
import { onLines } from '../lines.ts'

/** A listener inside the driver's process, which no fault befalls. */
export interface SinkServer {
  readonly port: number
  stop(): Promise<void>
}

/** Starts the world outside: it answers requests in the order in which they come, each at once, or not at all. */
export async function startSinkServer<Request, Answer>(
  answer: (request: Request) => Answer | undefined,
): Promise<SinkServer> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    socket.setNoDelay(true)
    socket.on('error', () => {})
    onLines(socket, (line) => {
      const { id, request } = JSON.parse(line) as { readonly id: number; readonly request: Request }
      const answered = answer(request)
      if (answered !== undefined) socket.write(`${JSON.stringify({ id, answer: answered })}\n`)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  }
}

/** A worker's way to it; the connection lasts as long as the process. */
export function sinkClient<Request, Answer>(port: number): Promise<(request: Request) => Promise<Answer>> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    const waiting = new Map<number, (answer: Answer) => void>()
    let count = 0
    socket.setNoDelay(true)
    socket.once('error', reject)
    onLines(socket, (line) => {
      const { id, answer } = JSON.parse(line) as { readonly id: number; readonly answer: Answer }
      waiting.get(id)?.(answer)
      waiting.delete(id)
    })
    socket.once('connect', () =>
      resolve(
        (request) =>
          new Promise((answered) => {
            const id = ++count
            waiting.set(id, answered)
            socket.write(`${JSON.stringify({ id, request })}\n`)
          }),
      ),
    )
  })
}
