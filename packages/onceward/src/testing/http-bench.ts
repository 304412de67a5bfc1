import assert from 'node:assert/strict'
import type { OperationStore } from '../core/store.ts'
import { systemClock, systemRandom, systemTimers } from '../core/system.ts'
import type { ConformanceCase } from './conformance-case.ts'
import { field, HttpConnection, type RawResponse } from './http-connection.ts'
import { CANARY_PREFIX } from './http-problem.ts'
import type {
  AppRequest,
  AppResponse,
  HttpCapability,
  HttpConformanceOptions,
  HttpSetupOptions,
  HttpTarget,
  StartHttp,
} from './http-target.ts'

/** A request as a case sends it. */
export interface BenchRequest {
  /** Default `POST`. */
  readonly method?: string
  /** With the query. Default `/payments`. */
  readonly path?: string
  /** The idempotency key exactly as it stands in the field. Absent: no field. */
  readonly key?: string
  /** Further fields, each sent as it is. */
  readonly headers?: readonly (readonly [name: string, value: string])[]
  /** Default for `POST`, `PUT` and `PATCH`: a small JSON document, always the same. `null`: none. */
  readonly body?: string | Uint8Array | null
  /** Sends the body in chunks of this many bytes, without a length in front. */
  readonly chunkBytes?: number
  /** The caller, as told by the scope field. Default `acme`. `null`: the field is not sent. */
  readonly tenant?: string | null
}

/** What one case asks for. */
export interface CaseSetup {
  /** Default scope: the field {@link TENANT}. */
  readonly options?: Partial<HttpSetupOptions>
  /** Default: {@link HttpBench.pay}. */
  readonly app?: (request: AppRequest, bench: HttpBench) => Promise<AppResponse> | AppResponse
  readonly authorize?: (request: Pick<AppRequest, 'headers'>, bench: HttpBench) => boolean
  readonly wrapStore?: (store: OperationStore, bench: HttpBench) => OperationStore
  readonly needs?: readonly HttpCapability[]
}

/** A case that is not yet bound to a target. */
export interface HttpCase {
  readonly name: string
  readonly needs: readonly HttpCapability[]
  run(start: StartHttp, patienceMs?: number): Promise<void>
}

/** The request field that names the caller. */
export const TENANT = 'x-tenant'

/** The media type of the default body. */
export const JSON_TYPE: readonly [string, string] = ['content-type', 'application/json']

const DEFAULT_BODY = JSON.stringify({ order: 'o-7', amount: 1200 })

/** Writes a case: starts the target, runs the steps, checks that no canary crossed, and ends the target. */
export function httpCase(
  name: string,
  setup: CaseSetup,
  steps: (bench: HttpBench) => Promise<void>,
): HttpCase {
  return {
    name,
    needs: [...(setup.needs ?? []), ...(setup.wrapStore ? (['store'] as const) : [])],
    async run(start, patienceMs = 15_000) {
      const bench = new HttpBench(setup, patienceMs)
      await bench.start(start)
      try {
        await steps(bench)
        bench.assertNoCrossing()
      } finally {
        await bench.close()
      }
    },
  }
}

/** Binds cases to a target, skipping those whose needs it has not. */
export function bindCases(
  cases: readonly HttpCase[],
  start: StartHttp,
  options: HttpConformanceOptions,
): readonly ConformanceCase[] {
  return cases.map(({ name, needs, run }) => {
    const skip = needs.map((need) => options.without?.[need]).find((reason) => reason !== undefined)
    return { name, ...(skip === undefined ? {} : { skip }), run: () => run(start, options.patienceMs) }
  })
}

/** A started target with its counting application and its clients. */
export class HttpBench {
  /** How often the application was run by a request of an unsafe method. */
  effects = 0
  /** The requests the application got, in order. */
  readonly seen: AppRequest[] = []
  /** Switches a case sets for its application. */
  readonly flags: Set<string> = new Set()
  readonly #setup: CaseSetup
  readonly #patienceMs: number
  readonly #gates = new Map<string, Gate>()
  readonly #canaries = new Map<string, string>()
  readonly #answers: { readonly tenant: string; readonly response: RawResponse }[] = []
  readonly #connections: HttpConnection[] = []
  #target: HttpTarget | undefined

  constructor(setup: CaseSetup, patienceMs: number) {
    this.#setup = setup
    this.#patienceMs = patienceMs
  }

  get port(): number {
    if (this.#target === undefined) throw new TypeError('the target has not been started')
    return this.#target.port
  }

  async start(start: StartHttp): Promise<void> {
    const { app = (request, bench) => bench.pay(request), options, authorize, wrapStore } = this.#setup
    this.#target = await start({
      options: { scope: { header: TENANT }, ...options },
      app: async (request) => {
        this.seen.push(request)
        if (!['GET', 'HEAD', 'OPTIONS'].includes(request.method)) this.effects++
        return app(request, this)
      },
      ...(authorize ? { authorize: (request) => authorize(request, this) } : {}),
      ...(wrapStore ? { wrapStore: (store) => wrapStore(store, this) } : {}),
    })
  }

  async close(): Promise<void> {
    for (const { open } of this.#gates.values()) open()
    for (const connection of this.#connections) connection.destroy()
    await this.#target?.close()
  }

  /** A gate by name, closed until the case opens it or ends. */
  gate(name = 'main'): Gate {
    const found = this.#gates.get(name) ?? gate()
    this.#gates.set(name, found)
    return found
  }

  /** The secret of a caller, which stands in every answer made for it. */
  canary(tenant: string): string {
    const canary = this.#canaries.get(tenant) ?? `${CANARY_PREFIX}${systemRandom.nonce()}`
    this.#canaries.set(tenant, canary)
    return canary
  }

  /** The ordinary answer: 201 with a location and JSON, another for every effect. */
  pay(request: AppRequest, headers: readonly (readonly [string, string])[] = []): AppResponse {
    return {
      status: 201,
      headers: [JSON_TYPE, ['location', `/payments/${this.effects}`], ...headers],
      body: this.receipt(request),
    }
  }

  /** JSON with the count of effects and the canary of the caller. */
  receipt(request: AppRequest): string {
    return JSON.stringify({ id: this.effects, canary: this.canary(request.headers[TENANT] ?? 'public') })
  }

  /** Opens a connection that is dropped at the end of the case. */
  async connect(): Promise<HttpConnection> {
    const connection = await HttpConnection.open(this.port, this.#patienceMs)
    this.#connections.push(connection)
    return connection
  }

  /** Sends one request on a connection of its own and reads the answer to the last byte. */
  send(request: BenchRequest = {}): Promise<RawResponse> {
    const response = this.#sendWhole(request)
    // A case that fails before it awaits this answer must report its own failure.
    response.catch(() => {})
    return response
  }

  async #sendWhole(request: BenchRequest): Promise<RawResponse> {
    const connection = await this.connect()
    connection.write(encodeRequest(request, ['connection', 'close']))
    const response = await this.receive(connection, request)
    if (!response.truncated) {
      await connection.waitForEnd()
      assert.equal(
        connection.pending.length,
        0,
        `bytes follow the answer: ${connection.pending.toString('latin1')}`,
      )
    }
    return response
  }

  /** Like {@link send}; `undefined` when the connection was cut before there was an answer. */
  async sendLoosely(request: BenchRequest = {}): Promise<RawResponse | undefined> {
    const connection = await this.connect()
    connection.write(encodeRequest(request, ['connection', 'close']))
    await connection.waitForEnd()
    return connection.pending.length === 0 ? undefined : this.receive(connection, request)
  }

  /** Sends a request again and again, every 20 ms, until an answer is as wanted; answers that one. */
  async resend(request: BenchRequest, wanted: (response: RawResponse) => boolean): Promise<RawResponse> {
    let response = await this.send(request)
    await until(
      this.#patienceMs,
      async () => {
        if (wanted(response)) return true
        await pause(20)
        response = await this.send(request)
        return wanted(response)
      },
      () =>
        `the answer never changed from ${response.status} ${response.body.toString('latin1').slice(0, 300)}`,
    )
    return response
  }

  /** Writes a request on a connection that stays open. */
  write(connection: HttpConnection, request: BenchRequest = {}): void {
    connection.write(encodeRequest(request))
  }

  /** Reads an answer and remembers whom it was for. */
  async receive(connection: HttpConnection, request: BenchRequest = {}): Promise<RawResponse> {
    const response = await connection.read(request.method ?? 'POST')
    this.#answers.push({ tenant: request.tenant ?? (request.tenant === null ? 'public' : 'acme'), response })
    return response
  }

  /** Fails when any answer held a secret made for another caller. */
  assertNoCrossing(): void {
    for (const { tenant, response } of this.#answers) {
      for (const [owner, canary] of this.#canaries) {
        if (owner === tenant || this.#setup.options?.scope === 'public') continue
        const all = `${JSON.stringify(response.headers)}${response.body.toString('latin1')}`
        assert.ok(!all.includes(canary), `an answer to ${tenant} holds what was made for ${owner}`)
      }
    }
  }

  /** Waits until something has come true. */
  reaches(condition: () => boolean): Promise<void> {
    return until(this.#patienceMs, condition)
  }

  /** Waits until the application has been run `count` times. */
  async effectsReach(count: number): Promise<void> {
    await until(
      this.#patienceMs,
      () => this.effects >= count,
      () => `the application was run ${this.effects} times, not ${count}`,
    )
  }
}

/** Writes a request as bytes. */
export function encodeRequest(request: BenchRequest, ...extra: (readonly [string, string])[]): Uint8Array {
  const { method = 'POST', path = '/payments', key, headers = [], tenant = 'acme', chunkBytes } = request
  const hasBody = request.body !== null && (request.body !== undefined || /^(POST|PUT|PATCH)$/.test(method))
  const body = Buffer.from(hasBody ? (request.body ?? DEFAULT_BODY) : '')
  const named = new Set(headers.map(([name]) => name.toLowerCase()))
  const fields: (readonly [string, string])[] = [
    ['host', '127.0.0.1'],
    ...extra,
    ...(tenant === null ? [] : [[TENANT, tenant] as const]),
    ...(key === undefined ? [] : [['idempotency-key', key] as const]),
    ...(hasBody && !named.has('content-type') ? [JSON_TYPE] : []),
    ...headers,
  ]
  if (hasBody && chunkBytes === undefined) fields.push(['content-length', `${body.length}`])
  if (hasBody && chunkBytes !== undefined) fields.push(['transfer-encoding', 'chunked'])
  const head = `${method} ${path} HTTP/1.1\r\n${fields.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`
  if (chunkBytes === undefined) return Buffer.concat([Buffer.from(head, 'latin1'), body])
  const parts: Buffer[] = [Buffer.from(head, 'latin1')]
  for (let at = 0; at < body.length; at += chunkBytes) {
    const part = body.subarray(at, at + chunkBytes)
    parts.push(Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from('\r\n'))
  }
  return Buffer.concat([...parts, Buffer.from('0\r\n\r\n')])
}

/** Something a case opens later, on which its application waits. */
export interface Gate {
  readonly opened: Promise<void>
  open(): void
}

function gate(): Gate {
  let open = (): void => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { opened, open }
}

async function until(
  patienceMs: number,
  condition: () => boolean | Promise<boolean>,
  otherwise: () => string = () => 'the condition never came true',
): Promise<void> {
  const deadline = systemClock.monotonic() + patienceMs
  while (!(await condition())) {
    if (systemClock.monotonic() > deadline) throw new assert.AssertionError({ message: otherwise() })
    await pause(3)
  }
}

async function pause(delayMs: number): Promise<void> {
  await new Promise<void>((resolve) => {
    systemTimers.after(delayMs, resolve)
  })
}

/** How long something took, in ms. */
export async function timed<T>(
  work: () => Promise<T>,
): Promise<{ readonly value: T; readonly tookMs: number }> {
  const started = systemClock.monotonic()
  const value = await work()
  return { value, tookMs: systemClock.monotonic() - started }
}

/** Asserts that an answer is a first one: not marked as a replay, with its key and its expiry. */
export function assertExecuted(response: RawResponse, status: number): void {
  assert.equal(response.status, status, response.body.toString('latin1').slice(0, 300))
  assert.equal(field(response, 'idempotent-replayed'), undefined, 'the first answer is marked as a replay')
}

/** Asserts that `again` is the stored answer `first`, byte for byte, marked and not to be cached. */
export function assertReplay(first: RawResponse, again: RawResponse): void {
  const seen = `${again.status} ${again.body.toString('latin1').slice(0, 300)}`
  assert.equal(again.status, first.status, `expected the stored answer, got ${seen}`)
  assert.ok(again.body.equals(first.body), `the bytes of the replay differ: ${seen}`)
  assert.equal(field(again, 'idempotent-replayed'), 'true', `the replay is not marked: ${seen}`)
  assert.match(field(again, 'cache-control') ?? '', /no-store/, 'the replay may be cached')
  assert.equal(field(again, 'set-cookie'), undefined, 'the replay sets a cookie')
  for (const name of ['content-type', 'content-encoding', 'content-disposition', 'location', 'link', 'etag'])
    assert.equal(field(again, name), field(first, name), `${name} of the replay differs`)
}
