import assert from 'node:assert/strict'
import type { OperationStore } from '../core/store.ts'
import { systemClock, systemRandom, systemTimers } from '../core/system.ts'
import type { ConformanceCase } from './conformance-case.ts'
import { HttpConnection, type RawResponse } from './http-connection.ts'
import { CANARY_PREFIX } from './http-problem.ts'
import { type BenchRequest, encodeRequest, JSON_TYPE, TENANT } from './http-request.ts'
import type {
  AppRequest,
  AppResponse,
  HttpCapability,
  HttpConformanceOptions,
  HttpSetupOptions,
  HttpTarget,
  StartHttp,
} from './http-target.ts'

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
