import { readFile } from 'node:fs/promises'
import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerOptions,
  type ServerResponse,
} from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { Duplex } from 'node:stream'
import type { GatewayOptions } from '../config/gateway-options.ts'
import { usageError } from '../exit-codes.ts'
import { badRequest, headerTooLarge, rawProblem, tooSlow } from './problem.ts'

/** The longest request header that is read, in bytes. */
const MAX_HEADER_BYTES = 16_384

/** A server, and what it takes to end it well. */
export interface PublicServer {
  readonly server: Server
  /** Answers what comes from now on with `Connection: close`, and stops accepting. Resolves when all answers are out. */
  drain(): Promise<void>
  /** Cuts what is left. */
  cut(): void
}

/**
 * Makes the server of the public port on Node's strict parser.
 *
 * All header lines are let through to the framing check: Node would silently drop those beyond a limit. The body has
 * its own watch, so that a large upload may take longer than a slow one.
 */
export async function publicServer(
  options: Pick<GatewayOptions, 'tls' | 'headersTimeoutMs'>,
  handle: {
    onRequest(request: IncomingMessage, response: ServerResponse): void
    onUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void
  },
): Promise<PublicServer> {
  const settings: ServerOptions = {
    insecureHTTPParser: false,
    maxHeaderSize: MAX_HEADER_BYTES,
    headersTimeout: options.headersTimeoutMs,
    requestTimeout: 0,
    connectionsCheckingInterval: Math.min(1000, Math.ceil(options.headersTimeoutMs / 2)),
    keepAliveTimeout: 10_000,
    // Checked with the rest of the framing, where the refusal is a problem document.
    requireHostHeader: false,
    noDelay: true,
  }
  const server = options.tls
    ? createTlsServer({ ...settings, ...(await tlsFiles(options.tls)) })
    : createServer(settings)
  server.maxHeadersCount = 0
  let draining = false
  /** The latest request of each connection, and the one before it where that had no whole answer yet. */
  const latest = new WeakMap<Duplex, Exchange>()
  const upgraded = new Set<Duplex>()

  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    const { socket } = request
    const before = latest.get(socket)
    // RFC 9112 section 9.6: nothing is processed that follows an answer with `close`. What comes after a refused
    // request could be the rest of it, read by rules that a proxy before us does not share.
    if (before?.response.shouldKeepAlive === false) return
    latest.set(socket, { response, queued: before !== undefined && !before.response.writableFinished })
    if (draining) response.shouldKeepAlive = false
    handle.onRequest(request, response)
  })
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    upgraded.add(socket)
    socket.once('close', () => upgraded.delete(socket))
    if (draining) socket.destroy()
    else handle.onUpgrade(request, socket, head)
  })
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) => {
    if (!socket.writable || !isForTheFault(latest.get(socket))) return void socket.destroy()
    socket.end(rawProblem(clientProblem(error)), () => socket.destroy())
  })

  return {
    server,
    drain() {
      draining = true
      return new Promise((resolve) => {
        // A connection whose answer was under way comes to rest later, and would be kept alive.
        const rest = setInterval(() => server.closeIdleConnections(), 20)
        server.close(() => {
          clearInterval(rest)
          resolve()
        })
        server.closeIdleConnections()
        for (const socket of upgraded) socket.destroy()
      })
    },
    cut() {
      server.closeAllConnections()
      for (const socket of upgraded) socket.destroy()
    },
  }
}

interface Exchange {
  readonly response: ServerResponse
  /** Whether an earlier request of the connection still waited for its answer when this one came. */
  readonly queued: boolean
}

/**
 * Whether what would be written now is read as the answer to what was malformed: not where an answer has begun, and not
 * where a whole request before it still waits for its own.
 */
function isForTheFault(latest: Exchange | undefined): boolean {
  if (latest === undefined) return true
  // The body of a request that was answered already can still turn out malformed: nobody waits for a second answer.
  if (latest.response.writableFinished) return latest.response.req.complete
  return !latest.queued && !latest.response.headersSent && !latest.response.req.complete
}

function clientProblem(error: NodeJS.ErrnoException): ReturnType<typeof badRequest> {
  switch (error.code) {
    case 'HPE_HEADER_OVERFLOW':
      return headerTooLarge(`The header is longer than ${MAX_HEADER_BYTES} bytes.`)
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return tooSlow('The header came too slowly.')
    default:
      return badRequest('The request is not well-formed HTTP.')
  }
}

async function tlsFiles(tls: NonNullable<GatewayOptions['tls']>): Promise<Record<string, unknown>> {
  const read = async (flag: string, file: string): Promise<Buffer> => {
    try {
      return await readFile(file)
    } catch (error) {
      throw usageError(
        `${flag} ${file}: cannot be read (${(error as NodeJS.ErrnoException).code}); check the path`,
      )
    }
  }
  const files = { cert: await read('--tls-cert', tls.cert), key: await read('--tls-key', tls.key) }
  // Without a certificate the connection still stands; the routes that tell callers by one turn it away.
  if (tls.ca === undefined) return files
  return { ...files, ca: await read('--tls-ca', tls.ca), requestCert: true, rejectUnauthorized: false }
}
