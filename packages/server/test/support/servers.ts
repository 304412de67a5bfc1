import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import type { Config } from '../../src/config/config-schema.ts'
import { type GatewayOptions, gatewayOptions } from '../../src/config/gateway-options.ts'
import { createLog } from '../../src/gateway/gateway-log.ts'
import { type Gateway, startGateway } from '../../src/gateway/start-gateway.ts'

/** One request as the upstream saw it. */
export interface Seen {
  readonly method: string
  readonly url: string
  readonly headers: IncomingMessage['headers']
  readonly rawHeaders: readonly string[]
  readonly body: string
}

/** An upstream that counts. */
export interface Upstream {
  readonly url: string
  readonly server: Server
  readonly seen: Seen[]
  close(): Promise<void>
}

/** Starts a service on a free loopback port; `answer` is given the request after its body was read. */
export async function startUpstream(
  answer: (request: Seen, response: ServerResponse) => void | Promise<void>,
): Promise<Upstream> {
  const seen: Seen[] = []
  return startRaw(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const one: Seen = {
      method: request.method ?? '',
      url: request.url ?? '',
      headers: request.headers,
      rawHeaders: request.rawHeaders,
      body: Buffer.concat(chunks).toString(),
    }
    seen.push(one)
    await answer(one, response)
  }, seen)
}

/** Starts a service that reads its requests itself. */
export async function startRaw(
  listener: (request: IncomingMessage, response: ServerResponse) => unknown,
  seen: Seen[] = [],
): Promise<Upstream> {
  const server = createServer((request, response) => {
    void Promise.resolve(listener(request, response)).catch(() => response.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    server,
    seen,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

/** Options as the gateway would compute them from this configuration. */
export function optionsOf(config: Config): GatewayOptions {
  return gatewayOptions({
    config: { scope: 'public', store: 'memory:', port: 0, adminPort: 0, logLevel: 'silent', ...config },
    sources: {},
  })
}

/** Starts a gateway in this process, on free ports and a store in memory unless told otherwise. */
export function gatewayBefore(upstream: string, config: Config = {}): Promise<Gateway> {
  return startGateway(optionsOf({ upstream, ...config }), createLog('silent'))
}

/** Sends bytes as they are and answers all that comes back until the peer closes, or until `until` is seen. */
export async function sendRaw(url: string, bytes: string | Buffer, until?: RegExp): Promise<string> {
  const { hostname, port } = new URL(url)
  const socket: Socket = connect(Number(port), hostname)
  let received = ''
  socket.setEncoding('latin1')
  return new Promise((resolve, reject) => {
    socket.on('data', (text) => {
      received += String(text)
      if (until?.test(received)) {
        socket.destroy()
        resolve(received)
      }
    })
    socket.once('close', () => resolve(received))
    socket.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'ECONNRESET' ? resolve(received) : reject(error),
    )
    socket.write(bytes)
  })
}

/** Waits for a condition, asked every 10 ms. Fails after `ms`. */
export async function until<T>(condition: () => T | Promise<T>, ms = 10_000): Promise<NonNullable<T>> {
  const deadline = Date.now() + ms
  for (;;) {
    const value = await condition()
    if (value) return value as NonNullable<T>
    if (Date.now() > deadline)
      throw new Error(`the condition did not come true within ${ms} ms: ${condition}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

/** Whether nobody accepts connections there any more. */
export function refusesConnections(url: string): Promise<boolean> {
  const { hostname, port } = new URL(url)
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname)
    socket.once('connect', () => {
      socket.destroy()
      resolve(false)
    })
    socket.once('error', () => resolve(true))
  })
}
