import { connect } from 'node:net'
import { ascending, quantile } from './statistics.mjs'

/**
 * What a request is made of. Building it must cost next to nothing: the client shares the machine with the server.
 *
 * @typedef {{ method: string, path: string, body?: string, key?: () => string }} LoadRequest
 *
 * @typedef {{ perSecond: number, p50Ms: number, p99Ms: number, requests: number, cpuUsPerRequest: number,
 *   statuses: Record<string, number>, replays: number }} LoadSample
 */

/**
 * Sends requests until the server has compiled what they run: after a few seconds a busy server is still twice as slow
 * as it gets.
 *
 * @param {import('./child.mjs').Child} server
 * @param {LoadRequest} request
 * @param {{ connections: number, requests?: number, mostMs?: number }} options
 */
export async function warmUp(server, request, { connections, requests = 10_000, mostMs = 20_000 }) {
  const startedAt = performance.now()
  for (let sent = 0; sent < requests && performance.now() - startedAt < mostMs; ) {
    const sample = await load(server, request, { connections, durationMs: 500, warmUpMs: 0 })
    sent += sample.requests
  }
}

/**
 * Sends one request after another on each of `connections` sockets for `durationMs`.
 *
 * A client of its own on bare sockets, because a full client takes more CPU time than the servers it is to measure.
 *
 * @param {import('./child.mjs').Child} server
 * @param {LoadRequest} request
 * @param {{ connections: number, durationMs: number, warmUpMs?: number }} options
 * @returns {Promise<LoadSample>}
 */
export async function load(server, request, { connections, durationMs, warmUpMs = 150 }) {
  const sockets = await Promise.all(Array.from({ length: connections }, () => openConnection(server.url)))
  try {
    await sendFor(sockets, request, warmUpMs)
    const cpuBefore = server.cpuMs()
    const startedAt = performance.now()
    const tally = await sendFor(sockets, request, durationMs)
    const seconds = (performance.now() - startedAt) / 1000
    const cpuUs = (server.cpuMs() - cpuBefore) * 1000
    const sorted = Float64Array.from(tally.latencies).sort(ascending)
    return {
      perSecond: sorted.length / seconds,
      p50Ms: quantile(sorted, 0.5),
      p99Ms: quantile(sorted, 0.99),
      requests: sorted.length,
      cpuUsPerRequest: cpuUs / sorted.length,
      statuses: tally.statuses,
      replays: tally.replays,
    }
  } finally {
    for (const socket of sockets) socket.close()
  }
}

/**
 * @param {readonly Connection[]} sockets
 * @param {LoadRequest} request
 * @param {number} durationMs
 */
async function sendFor(sockets, request, durationMs) {
  /** @type {{ latencies: number[], statuses: Record<string, number>, replays: number }} */
  const tally = { latencies: [], statuses: {}, replays: 0 }
  const until = performance.now() + durationMs
  await Promise.all(
    sockets.map(async (socket) => {
      for (let now = performance.now(); now < until; ) {
        const answer = await socket.send(request)
        const end = performance.now()
        tally.latencies.push(end - now)
        tally.statuses[answer.status] = (tally.statuses[answer.status] ?? 0) + 1
        if (answer.replayed) tally.replays += 1
        now = end
      }
    }),
  )
  return tally
}

/**
 * @typedef {{ status: number, replayed: boolean, body: string }} LoadAnswer
 * @typedef {{ send(request: LoadRequest): Promise<LoadAnswer>, close(): void }} Connection
 */

/**
 * Opens one connection that answers requests in turn. It understands what the benchmarked servers send: bodies with a
 * Content-Length or in chunks.
 *
 * @param {string} url
 * @returns {Promise<Connection>}
 */
export function openConnection(url) {
  const { hostname, port, host } = new URL(url)
  const socket = connect({ host: hostname, port: Number(port), noDelay: true })
  /** @type {{ resolve(answer: LoadAnswer): void, reject(error: Error): void } | undefined} */
  let waiting
  let received = ''
  const fail = (/** @type {Error} */ error) => waiting?.reject(error)
  socket.setEncoding('latin1')
  socket.on('data', (chunk) => {
    received += chunk
    const answer = parseAnswer(received)
    if (answer === undefined) return
    received = received.slice(answer.end)
    waiting?.resolve(answer)
  })
  socket.on('error', fail)
  socket.on('close', () => fail(new Error(`${host} closed the connection after: ${received.slice(0, 200)}`)))
  return new Promise((resolve, reject) => {
    socket.once('error', reject)
    socket.once('connect', () => {
      socket.off('error', reject)
      resolve({
        send(request) {
          socket.write(requestText(request, host), 'latin1')
          return new Promise((answered, failed) => {
            waiting = { resolve: answered, reject: failed }
          })
        },
        close: () => socket.destroy(),
      })
    })
  })
}

/** @param {LoadRequest} request @param {string} host */
function requestText({ method, path, body, key }, host) {
  const keyField = key === undefined ? '' : `Idempotency-Key: "${key()}"\r\n`
  const bodyFields =
    body === undefined ? '' : `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n`
  return `${method} ${path} HTTP/1.1\r\nHost: ${host}\r\n${keyField}${bodyFields}\r\n${body ?? ''}`
}

/** @param {string} text @returns {(LoadAnswer & { end: number }) | undefined} undefined while it is incomplete. */
function parseAnswer(text) {
  const headEnd = text.indexOf('\r\n\r\n')
  if (headEnd === -1) return undefined
  const head = text.slice(0, headEnd + 2)
  const start = headEnd + 4
  const status = Number(head.slice(9, 12))
  const replayed = /\r\nidempotent-replayed: true\r\n/i.test(head)
  const length = /\r\ncontent-length: (\d+)\r\n/i.exec(head)?.[1]
  if (length !== undefined) {
    const end = start + Number(length)
    return text.length < end ? undefined : { status, replayed, body: text.slice(start, end), end }
  }
  if (!/\r\ntransfer-encoding: chunked\r\n/i.test(head)) throw new Error(`no length in the answer:\n${head}`)
  let body = ''
  for (let at = start; ; ) {
    const lineEnd = text.indexOf('\r\n', at)
    if (lineEnd === -1) return undefined
    const size = Number.parseInt(text.slice(at, lineEnd), 16)
    const next = lineEnd + 2 + size + 2
    if (text.length < next) return undefined
    if (size === 0) return { status, replayed, body, end: next }
    body += text.slice(lineEnd + 2, lineEnd + 2 + size)
    at = next
  }
}
