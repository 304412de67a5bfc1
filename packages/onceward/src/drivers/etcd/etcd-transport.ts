import type { Timers } from '../../core/clock.ts'
import type { OncewardError } from '../../core/errors.ts'
import { EtcdRefusal, etcdFailure, failure, GRPC, refusalOf } from './etcd-errors.ts'
import type { EtcdFetch, EtcdJson, EtcdResponse } from './etcd-fetch.ts'
import { jsonOf, objectIn } from './etcd-fetch.ts'

/** A user of etcd. */
export interface EtcdAuth {
  readonly user: string
  readonly password: string
}

/** What {@link etcdTransport} needs. */
export interface EtcdTransportOptions {
  /** `http://10.0.0.1:2379`; the next one is asked where one fails. */
  readonly endpoints: readonly string[]
  readonly where: string
  readonly auth?: EtcdAuth
  /** How long a call may take over all endpoints, in ms. */
  readonly timeoutMs: number
  readonly fetch: EtcdFetch
  readonly timers: Timers
}

/** Sends JSON to whichever endpoint answers. */
export interface EtcdTransport {
  /** @returns nothing where etcd says that what was named does not exist. @throws an error of ours, with the mend. */
  call(path: string, body: EtcdJson): Promise<EtcdJson | undefined>
  /** Hands each message of a stream to `listener` until `signal` aborts. @throws when the stream ends otherwise. */
  stream(
    path: string,
    body: EtcdJson,
    listener: (message: EtcdJson) => void,
    signal: AbortSignal,
  ): Promise<void>
  close(): void
}

/** The oldest version whose gateway has the API under `/v3`. */
const NEEDED = '3.4'

/**
 * The JSON gateway over `fetch`. Asks the endpoint that answered last; when it does not answer in its share of the time,
 * cannot be reached or has no leader, the next one.
 *
 * Limit: a call whose reply was lost is sent again, so each must be harmless when carried out twice.
 */
export function etcdTransport(options: EtcdTransportOptions): EtcdTransport {
  const { endpoints, where, auth, timeoutMs, fetch, timers } = options
  // There may be hundreds of them, and a signal of all would warn of so many listeners.
  const streams = new Set<AbortController>()
  let closed = false
  let preferred = 0
  let login: Promise<string> | undefined

  /** Asks one endpoint. The response's body is read while the time runs. */
  async function ask<T>(
    endpoint: string,
    path: string,
    body: EtcdJson | undefined,
    ms: number,
    token: string | undefined,
    read: (response: EtcdResponse) => Promise<T>,
  ): Promise<T> {
    const stop = new AbortController()
    const late = () =>
      stop.abort(new Error(`no answer within ${Math.round(ms)} ms; check that it is up and reachable`))
    const cancel = timers.after(ms, late)
    try {
      return await read(
        await fetch(`${endpoint}${path}`, {
          method: body ? 'POST' : 'GET',
          headers: {
            'content-type': 'application/json',
            ...(token === undefined ? {} : { authorization: token }),
          },
          ...(body ? { body: JSON.stringify(body) } : {}),
          redirect: 'error',
          signal: stop.signal,
        }),
      )
    } finally {
      cancel()
    }
  }

  /** Tries the endpoints in turn, each for its share of the time. */
  async function anywhere<T>(once: (endpoint: string, ms: number) => Promise<T>): Promise<T> {
    let left = timeoutMs
    for (let tried = 1; ; tried++) {
      if (closed) throw closedError()
      const at = preferred
      const endpoint = endpoints[at] as string
      const share = left / (endpoints.length - tried + 1)
      left -= share
      try {
        return await once(endpoint, share)
      } catch (error) {
        const elsewhere = error instanceof EtcdRefusal ? error.isOfThisMember : !isOurs(error)
        if (elsewhere && preferred === at) preferred = (at + 1) % endpoints.length
        if (!elsewhere || tried === endpoints.length) throw error
      }
    }
  }

  async function answerOf(endpoint: string, ms: number, response: EtcdResponse): Promise<EtcdJson> {
    const text = await response.text()
    const json = jsonOf(text)
    if (json && response.status === 200 && json['error'] === undefined) return json
    if (json) throw refusalOf(json)
    if (response.status >= 500) throw new Error(`it answered with status ${response.status}`)
    throw await notOurApi(endpoint, ms)
  }

  /** Something answers that has no `/v3`: tells what it is. */
  async function notOurApi(endpoint: string, ms: number): Promise<OncewardError> {
    const version = await ask(endpoint, '/version', undefined, ms, undefined, async (response) =>
      jsonOf(await response.text()),
    ).catch(() => undefined)
    const known = version?.['etcdserver']
    return failure(
      'STORE_MISCONFIGURED',
      typeof known === 'string'
        ? `${where} is etcd ${known}, whose gateway speaks an older API; use etcd ${NEEDED} or later`
        : `${where} does not answer as etcd does; name the client URL of etcd ${NEEDED} or later`,
    )
  }

  function loggedIn(): Promise<string> | undefined {
    if (!auth) return undefined
    if (login) return login
    const body = { name: auth.user, password: auth.password }
    const asked = anywhere((endpoint, ms) =>
      ask(endpoint, '/v3/auth/authenticate', body, ms, undefined, (response) =>
        answerOf(endpoint, ms, response),
      ),
    ).then((reply) => String(reply['token']))
    login = asked
    asked.catch(() => forget(asked))
    return asked
  }

  function forget(old: Promise<string> | undefined): void {
    if (login === old) login = undefined
  }

  /** Sends with a log-in, and once more with a new one when etcd has forgotten it. */
  async function withLogin<T>(send: (token: string | undefined) => Promise<T>): Promise<T> {
    const asked = loggedIn()
    try {
      return await send(await asked)
    } catch (error) {
      if (!auth || !(error instanceof EtcdRefusal && error.wantsLogin)) throw error
      forget(asked)
      return send(await loggedIn())
    }
  }

  async function follow(
    response: EtcdResponse,
    endpoint: string,
    listener: (message: EtcdJson) => void,
  ): Promise<void> {
    if (response.status !== 200 || !response.body) {
      await answerOf(endpoint, timeoutMs, response)
      return
    }
    const decoder = new TextDecoder()
    let rest = ''
    for await (const chunk of response.body) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) {
        const json = jsonOf(line)
        if (json?.['error'] !== undefined) throw refusalOf(json)
        if (json) listener(objectIn(json, 'result'))
      }
    }
  }

  return {
    async call(path, body) {
      try {
        return await withLogin((token) =>
          anywhere((endpoint, ms) =>
            ask(endpoint, path, body, ms, token, (response) => answerOf(endpoint, ms, response)),
          ),
        )
      } catch (error) {
        if (error instanceof EtcdRefusal && error.grpc === GRPC.NOT_FOUND) return undefined
        throw etcdFailure(error, where)
      }
    },
    async stream(path, body, listener, signal) {
      if (closed) throw closedError()
      const stop = new AbortController()
      const end = () => stop.abort()
      streams.add(stop)
      signal.addEventListener('abort', end)
      try {
        await withLogin(async (token) => {
          const endpoint = endpoints[preferred] as string
          const response = await fetch(`${endpoint}${path}`, {
            method: 'POST',
            headers: {
              'content-type': 'application/json',
              ...(token === undefined ? {} : { authorization: token }),
            },
            body: JSON.stringify(body),
            redirect: 'error',
            signal: stop.signal,
          })
          await follow(response, endpoint, listener)
        })
        throw new Error('it has ended the stream')
      } catch (error) {
        if (signal.aborted) return
        if (closed) throw closedError()
        // Whoever follows asks again, and may find another member in better health.
        preferred = (preferred + 1) % endpoints.length
        throw etcdFailure(error, where)
      } finally {
        streams.delete(stop)
        signal.removeEventListener('abort', end)
      }
    },
    close() {
      closed = true
      for (const stream of streams) stream.abort()
    },
  }
}

function closedError(): OncewardError {
  return failure('CLOSED', 'these locks were closed; make new ones')
}

function isOurs(error: unknown): boolean {
  return error instanceof Error && error.name === 'OncewardError'
}
