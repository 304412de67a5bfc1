import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AppResponse, HttpSetup, HttpTarget, StartHttp } from '../../src/testing/http-target.ts'
import { listening } from './listening.ts'
import { appRequest, isChunks, nodeHeaders, respond } from './node-application.ts'

/** A mistake that real middlewares make. */
export type Defect =
  | 'one scope for all'
  | 'key alone is the identity'
  | 'replays cookies'
  | 'replays every field'
  | 'stores 503'
  | 'stores 429'
  | 'hashes a prefix'
  | 'never compares input'
  | 'answers before storing'
  | 'takes 204 for no result'
  | 'stores text only'
  | 'forgets streams'
  | 'mismatch takes the record'
  | 'waits for ever'
  | 'never waits'
  | 'waits, then runs'
  | 'strands the key on disconnect'
  | 'runs for who has left'
  | 'quoted is another key'
  | 'equal bodies collide'
  | 'reruns after a failure'
  | 'reruns after a large answer'
  | 'believes the client on effects'
  | 'replay is not marked'
  | 'never expires'
  | 'anonymous callers share'
  | 'joins scope and key'
  | 'replays before authorization'
  | 'guards GET too'
  | 'cuts large bodies'

interface Stored {
  readonly status: number
  readonly headers: readonly (readonly [string, string])[]
  readonly body: Buffer
}

interface Record {
  readonly fingerprint: string
  state: 'running' | 'done' | 'held' | 'too-large'
  stored?: Stored
  expiresAt: number
  readonly ended: Promise<void>
  end(): void
}

const PROBLEMS = {
  'key-missing': [400, false, 'none'],
  'key-invalid': [400, false, 'none'],
  'scope-missing': [401, false, 'none'],
  'body-too-large': [413, false, 'none'],
  'key-reused': [422, false, 'none'],
  'in-progress': [409, true, 'none'],
  'outcome-unknown': [409, false, 'unknown'],
  'response-not-replayable': [409, false, 'done'],
} as const

/**
 * A small idempotency middleware on `node:http` and a map, written without the library: it passes the suite, so the
 * suite asks for nothing that only the library has. With a defect it must fail.
 */
export function startSmall(...defects: readonly Defect[]): StartHttp {
  return (setup) => new Small(setup, new Set(defects)).start()
}

class Small {
  readonly #setup: HttpSetup
  readonly #defects: ReadonlySet<Defect>
  readonly #records = new Map<string, Record>()

  constructor(setup: HttpSetup, defects: ReadonlySet<Defect>) {
    this.#setup = setup
    this.#defects = defects
  }

  start(): Promise<HttpTarget> {
    const server = createServer((request, response) => {
      this.#serve(request, response).catch(() => {
        if (response.headersSent) response.destroy()
        else response.writeHead(500).end('failed')
      })
    })
    return listening(server)
  }

  #has(defect: Defect): boolean {
    return this.#defects.has(defect)
  }

  #allowed(request: IncomingMessage): boolean {
    const { authorize } = this.#setup
    return authorize === undefined || authorize({ headers: plain(request) })
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { app, options } = this.#setup
    const early = this.#has('replays before authorization')
    if (!early && !this.#allowed(request)) return void response.writeHead(403).end('forbidden')
    const guarded = this.#has('guards GET too') || !['GET', 'HEAD', 'OPTIONS'].includes(request.method ?? '')
    const fields = request.rawHeaders.filter(
      (_, at) => at % 2 === 0 && /^idempotency-key$/i.test(request.rawHeaders[at] ?? ''),
    )
    if (!guarded || (fields.length === 0 && !options.requireKey))
      return respond(response, await app(await appRequest(request)))
    if (fields.length === 0) return problem(request, response, 'key-missing')
    const key = fields.length > 1 ? undefined : this.#readKey(request.headers['idempotency-key'] as string)
    if (key === undefined) return problem(request, response, 'key-invalid')
    const caller = this.#caller(request)
    if (caller === undefined) return problem(request, response, 'scope-missing')
    const body = await bounded(request, options.maxBodyBytes ?? 1_048_576, this.#has('cuts large bodies'))
    if (body === undefined) return problem(request, response, 'body-too-large')
    const identity = this.#identity(request, caller, key, body)
    const fingerprint = this.#fingerprint(request, body)
    const waitUntil = Date.now() + this.#waitMs(request)
    for (;;) {
      if (response.destroyed && !this.#has('runs for who has left')) return
      const found = this.#live(identity)
      if (found === undefined) {
        if (early && !this.#allowed(request)) return void response.writeHead(403).end('forbidden')
        return this.#run(request, response, identity, fingerprint, body)
      }
      if (found.fingerprint !== fingerprint && !this.#has('never compares input')) {
        if (this.#has('mismatch takes the record')) this.#records.set(identity, { ...found, fingerprint })
        return problem(request, response, 'key-reused')
      }
      if (found.state === 'held') return problem(request, response, 'outcome-unknown')
      if (found.state === 'too-large') {
        const location = found.stored?.headers.find(([name]) => name === 'location')?.[1]
        return problem(request, response, 'response-not-replayable', {
          status: found.stored?.status,
          location,
        })
      }
      if (found.state === 'done') return this.#replay(request, response, found)
      const leftMs = this.#has('never waits') ? 0 : waitUntil - Date.now()
      if (leftMs > 0 || this.#has('waits for ever')) {
        await Promise.race([
          found.ended,
          new Promise((resolve) => setTimeout(resolve, Math.max(5, leftMs)).unref()),
        ])
      } else if (this.#has('waits, then runs')) {
        return this.#run(request, response, identity, fingerprint, body)
      } else return problem(request, response, 'in-progress')
    }
  }

  async #run(
    request: IncomingMessage,
    response: ServerResponse,
    identity: string,
    fingerprint: string,
    body: Buffer,
  ): Promise<void> {
    const { app, options } = this.#setup
    let end = () => {}
    const ended = new Promise<void>((resolve) => {
      end = resolve
    })
    const record: Record = { fingerprint, state: 'running', expiresAt: Number.POSITIVE_INFINITY, ended, end }
    this.#records.set(identity, record)
    const settle = (state: Record['state'] | 'released') => {
      if (this.#has('strands the key on disconnect') && response.destroyed) return
      if (state === 'released') this.#records.delete(identity)
      else record.state = state
      record.expiresAt = Date.now() + (this.#has('never expires') ? 1e9 : (options.retentionMs ?? 86_400_000))
      record.end()
    }
    let answer: AppResponse
    let whole: Buffer
    let overflow = false
    const cap = options.maxResponseBytes ?? 1_048_576
    try {
      answer = await app(await appRequest(request, body))
      const parts: Uint8Array[] = []
      let size = 0
      for await (const part of chunksOf(answer)) {
        size += part.length
        parts.push(part)
        if (size <= cap) continue
        if (!overflow) {
          overflow = true
          head(response, answer)
          for (const held of parts) response.write(held)
        } else response.write(part)
      }
      whole = Buffer.concat(parts)
    } catch (error) {
      const release =
        options.onServerError === 'release' || isNoEffect(error) || this.#has('reruns after a failure')
      settle(release ? 'released' : 'held')
      throw error
    }
    const stored = this.#stored(answer, whole)
    record.stored = stored
    if (overflow) {
      response.end()
      settle(this.#has('reruns after a large answer') ? 'released' : 'too-large')
      return
    }
    const send = () => {
      head(response, answer)
      response.setHeader('Idempotency-Key', request.headers['idempotency-key'] as string)
      response.setHeader('Idempotency-Expires', expires(options.retentionMs))
      response.end(whole)
    }
    if (this.#has('answers before storing')) {
      send()
      await new Promise((resolve) => setTimeout(resolve, 30))
      settle(this.#verdict(request, answer))
      return
    }
    settle(this.#verdict(request, answer))
    send()
  }

  #verdict(request: IncomingMessage, answer: AppResponse): 'done' | 'held' | 'released' {
    const { onServerError = 'hold' } = this.#setup.options
    const said = (answer.headers ?? []).find(([name]) => name.toLowerCase() === 'onceward-effect')?.[1]
    const effect =
      said ?? (this.#has('believes the client on effects') ? request.headers['onceward-effect'] : undefined)
    if (answer.status === 204 && this.#has('takes 204 for no result')) return 'released'
    if (answer.idiom === 'stream' && this.#has('forgets streams')) return 'released'
    if (answer.status === 503 && this.#has('stores 503')) return 'done'
    if (answer.status === 429 && this.#has('stores 429')) return 'done'
    if (answer.status >= 400 && effect === 'none') return 'released'
    if (answer.status >= 500 && this.#has('reruns after a failure')) return 'released'
    if (answer.status >= 500 && effect === 'done') return 'done'
    if (answer.status >= 500 && effect === 'unknown') return 'held'
    if (answer.status >= 500)
      return onServerError === 'hold' ? 'held' : onServerError === 'store' ? 'done' : 'released'
    return [401, 403, 408, 425, 429].includes(answer.status) ? 'released' : 'done'
  }

  #stored(answer: AppResponse, whole: Buffer): Stored {
    const allowed = [
      'content-type',
      'content-encoding',
      'location',
      'etag',
      'vary',
      'link',
      'content-disposition',
    ]
    if (this.#has('replays cookies')) allowed.push('set-cookie')
    const headers = (answer.headers ?? []).filter(
      ([name]) => this.#has('replays every field') || allowed.includes(name.toLowerCase()),
    )
    const body = this.#has('stores text only') ? Buffer.from(whole.toString('utf8')) : whole
    return {
      status: answer.status,
      headers: headers.map(([name, value]) => [name.toLowerCase(), value]),
      body,
    }
  }

  #replay(request: IncomingMessage, response: ServerResponse, { stored }: Record): void {
    if (stored === undefined) return
    head(response, stored)
    if (!this.#has('replay is not marked')) response.setHeader('Idempotent-Replayed', 'true')
    response.setHeader('Cache-Control', 'no-store')
    response.setHeader('Idempotency-Key', request.headers['idempotency-key'] as string)
    response.setHeader('Idempotency-Expires', expires(this.#setup.options.retentionMs))
    response.end(stored.body)
  }

  #live(identity: string): Record | undefined {
    const found = this.#records.get(identity)
    return found && found.state === 'done' && Date.now() >= found.expiresAt ? undefined : found
  }

  #caller(request: IncomingMessage): string | undefined {
    const { scope } = this.#setup.options
    if (scope === 'public' || this.#has('one scope for all')) return 'public'
    return plain(request)[scope.header] || (this.#has('anonymous callers share') ? 'anonymous' : undefined)
  }

  #identity(request: IncomingMessage, caller: string, key: string, body: Buffer): string {
    const path = (request.url ?? '/').split('?')[0] ?? '/'
    if (this.#has('equal bodies collide'))
      return JSON.stringify([caller, request.method, path, body.toString('latin1')])
    if (this.#has('key alone is the identity')) return JSON.stringify([caller, key])
    if (this.#has('joins scope and key')) return `${request.method} ${path} ${caller}:${key}`
    return JSON.stringify([caller, request.method, path, key])
  }

  #fingerprint(request: IncomingMessage, body: Buffer): string {
    const seen = this.#has('hashes a prefix') ? body.subarray(0, 1000) : body
    const query = (request.url ?? '').split('?').slice(1).join('?')
    return createHash('sha256')
      .update(`${query}\n${request.headers['content-type']}\n`)
      .update(seen)
      .digest('hex')
  }

  #waitMs(request: IncomingMessage): number {
    const cap = this.#setup.options.waitMs ?? 30_000
    const wait = /(?:^|,\s*)wait=(\d{1,9})(?:$|[,;])/.exec(`${request.headers['prefer'] ?? ''}`)?.[1]
    return Math.min(cap, wait === undefined ? cap : Number(wait) * 1000)
  }

  #readKey(text: string): string | undefined {
    const quoted = text.length > 1 && text.startsWith('"') && text.endsWith('"')
    const inner = quoted ? text.slice(1, -1) : text
    if (quoted && /(^|[^\\])(\\\\)*"|(^|[^\\])(\\\\)*\\([^"\\]|$)/.test(inner)) return undefined
    const key = quoted && !this.#has('quoted is another key') ? inner.replace(/\\(["\\])/g, '$1') : text
    if (!quoted && key.includes('"')) return undefined
    return /^[\x20-\x7e]{1,255}$/.test(key) ? key : undefined
  }
}

function head(response: ServerResponse, answer: Pick<AppResponse, 'status' | 'headers'>): void {
  response.statusCode = answer.status
  for (const [name, value] of nodeHeaders(answer as AppResponse))
    if (name !== 'onceward-effect') response.setHeader(name, value)
}

async function* chunksOf({ body }: AppResponse): AsyncGenerator<Uint8Array> {
  if (body === undefined) return
  if (isChunks(body)) yield* body
  else yield Buffer.from(body)
}

/** Reads a body up to a cap; `undefined` beyond it. */
async function bounded(
  request: IncomingMessage,
  capBytes: number,
  cut: boolean,
): Promise<Buffer | undefined> {
  const parts: Buffer[] = []
  let size = 0
  for await (const part of request as AsyncIterable<Buffer>) {
    parts.push(part)
    size += part.length
    if (size > capBytes && !cut) return undefined
  }
  return Buffer.concat(parts).subarray(0, capBytes)
}

function problem(
  request: IncomingMessage,
  response: ServerResponse,
  code: keyof typeof PROBLEMS,
  members: { readonly status?: number | undefined; readonly location?: string | undefined } = {},
): void {
  const [status, retryable, effect] = PROBLEMS[code]
  response.statusCode = status
  response.setHeader('Content-Type', 'application/problem+json')
  response.setHeader('Cache-Control', 'no-store')
  if (retryable) response.setHeader('Retry-After', '1')
  // What is left of the body would be taken for the next request.
  if (!request.complete) response.setHeader('Connection', 'close')
  response.end(
    JSON.stringify({ type: `urn:small:${code}`, title: code, status, code, retryable, effect, ...members }),
  )
}

function expires(retentionMs = 86_400_000): string {
  return new Date(Date.now() + retentionMs).toUTCString()
}

function plain(request: IncomingMessage): { readonly [name: string]: string | undefined } {
  return Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, value?.toString()]))
}

function isNoEffect(error: unknown): boolean {
  return typeof error === 'object' && error !== null && Object.getOwnPropertySymbols(error).length > 0
}
