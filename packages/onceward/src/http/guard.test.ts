import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { describe, expect, it } from 'vitest'
import { createOnce } from '../core/create-once.ts'
import { ERRORS, type ErrorCode } from '../core/errors.ts'
import { operationId } from '../core/identity.ts'
import { CHANNEL } from '../core/observer.ts'
import type { OperationStore } from '../core/store.ts'
import { memoryStore } from '../stores/memory/index.ts'
import { createGuard } from './guard.ts'
import type { GuardOptions } from './guard-options.ts'
import { problemCode } from './problem.ts'
import { operationKey, operationScope } from './request-identity.ts'
import { responseCodec } from './response-codec.ts'
import type { CapturedResponse, HttpAnswer, KeyedRequest, SendAnswer, Work } from './types.ts'

const PAID: CapturedResponse = {
  status: 201,
  headers: [
    ['Location', '/p/1'],
    ['Set-Cookie', 'a=1'],
    ['X-Own', '1'],
  ],
  body: Buffer.from('paid'),
}

function setUp(options: Partial<GuardOptions> & { readonly store?: OperationStore } = {}) {
  const { store = memoryStore(), ...rest } = options
  const once = createOnce({ store, scope: 'payments', storeTimeoutMs: 50, cache: false })
  const guard = createGuard({ once, ...rest })
  let runs = 0
  const admitted = (key: string | undefined, body = '{"a":1}'): KeyedRequest => {
    const headers: [string, string][] = [
      ['Content-Type', 'application/json'],
      ['Content-Length', `${body.length}`],
    ]
    if (key !== undefined) headers.push(['Idempotency-Key', key])
    const admission = guard.admit({ method: 'POST', target: '/payments', headers })
    if (admission.kind !== 'keyed') throw new Error(`the request is not guarded but ${admission.kind}`)
    return admission.request
  }
  const ask = async (
    key: string | undefined,
    work: Work | CapturedResponse = PAID,
    body = '{"a":1}',
    caller = 'acme',
  ) => {
    const answer = await guard.handle({
      request: admitted(key, body),
      caller,
      body: Buffer.from(body),
      work(op) {
        runs++
        return typeof work === 'function' ? work(op) : Promise.resolve(work)
      },
    })
    return answer
  }
  return { store, once, guard, ask, runs: () => runs }
}

function sent(answer: HttpAnswer): SendAnswer {
  if (answer.kind !== 'send') throw new Error('it was sent already')
  return answer
}

function problem(answer: HttpAnswer): Record<string, unknown> {
  return JSON.parse(Buffer.from(sent(answer).body).toString())
}

function field(answer: HttpAnswer, name: string): string | undefined {
  return sent(answer).headers.find(([other]) => other.toLowerCase() === name)?.[1]
}

/** A store of which some methods fail. */
function broken(store: OperationStore, ...methods: string[]): OperationStore {
  return new Proxy(store, {
    get(target, name, receiver) {
      if (methods.includes(String(name))) return () => Promise.reject(new Error('out of reach'))
      const value: unknown = Reflect.get(target, name, receiver)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

describe('the guard', () => {
  it('gives its own caller everything, and a duplicate what may be told again', async () => {
    const { ask, runs } = setUp()
    const [first, again] = [sent(await ask('k')), sent(await ask('k'))]
    expect(first).toMatchObject({ status: 201, from: 'executed', body: PAID.body })
    expect(first.headers).toEqual([
      ...PAID.headers,
      ['Idempotency-Key', 'k'],
      ['Idempotency-Expires', expect.any(String)],
    ])
    expect(again).toMatchObject({ status: 201, from: 'replayed' })
    expect(Buffer.from(again.body)).toEqual(PAID.body)
    expect(again.headers).toEqual([
      ['Location', '/p/1'],
      ['Idempotent-Replayed', 'true'],
      ['Cache-Control', 'no-store'],
      ['Idempotency-Key', 'k'],
      ['Idempotency-Expires', expect.stringMatching(/GMT$/)],
    ])
    expect(runs()).toBe(1)
  })

  it('passes requests that are not its business', () => {
    const { guard } = setUp()
    const key = [['Idempotency-Key', 'k']] as const
    for (const method of ['GET', 'HEAD', 'OPTIONS', 'TRACE', 'QUERY'])
      expect(guard.admit({ method, target: '/', headers: key })).toEqual({ kind: 'pass' })
    expect(guard.admit({ method: 'POST', target: '/', headers: [] })).toEqual({ kind: 'pass' })
  })

  it.each([
    ['key-missing', 400, [], { requireKey: true }],
    ['key-invalid', 400, [['Idempotency-Key', '']], {}],
    [
      'body-too-large',
      413,
      [
        ['Idempotency-Key', 'k'],
        ['Content-Length', '11'],
      ],
      { maxBodyBytes: 10 },
    ],
  ] as const)('refuses with %s before anything is read', (code, status, headers, options) => {
    const admission = setUp(options).guard.admit({ method: 'POST', target: '/', headers })
    expect(admission).toMatchObject({ kind: 'refuse', answer: { status, code, from: 'refused' } })
  })

  it('refuses a path that cannot be normalised', () => {
    const admission = setUp().guard.admit({
      method: 'PUT',
      target: '/%zz',
      headers: [['Idempotency-Key', 'k']],
    })
    expect(admission).toMatchObject({ kind: 'refuse', answer: { status: 400, code: 'request-invalid' } })
  })

  it('refuses a body that turns out larger than announced, and holds no claim', async () => {
    const { ask, store, runs } = setUp({ maxBodyBytes: 10 })
    const admission = setUp().guard.admit({
      method: 'POST',
      target: '/payments',
      headers: [['Idempotency-Key', 'k']],
    })
    if (admission.kind !== 'keyed') throw new Error('not guarded')
    const guard = createGuard({ once: createOnce({ store, scope: 'payments' }), maxBodyBytes: 10 })
    const answer = await guard.handle({
      request: admission.request,
      caller: 'acme',
      body: new Uint8Array(11),
      work: async () => PAID,
    })
    expect(problem(answer)).toMatchObject({ code: 'body-too-large', status: 413 })
    expect(runs()).toBe(0)
    expect(sent(await ask('k', PAID, '{}')).from).toBe('executed')
  })

  it.each([undefined, ''])('refuses the caller %j', async (caller) => {
    const { guard } = setUp()
    const admission = guard.admit({ method: 'POST', target: '/', headers: [['Idempotency-Key', 'k']] })
    if (admission.kind !== 'keyed') throw new Error('not guarded')
    const answer = await guard.handle({
      request: admission.request,
      caller,
      body: new Uint8Array(),
      work: async () => PAID,
    })
    expect(problem(answer)).toMatchObject({ code: 'scope-missing', status: 401 })
  })

  it('derives keys from requests where it is told how', async () => {
    const deriveKey = (_: KeyedRequest, body: Uint8Array) => {
      const { order } = JSON.parse(Buffer.from(body).toString())
      if (order === 7) throw new TypeError('order must be a text')
      return order
    }
    const { ask, runs } = setUp({ deriveKey })
    expect(sent(await ask(undefined, PAID, '{"order":"o-1"}')).from).toBe('executed')
    expect(sent(await ask(undefined, PAID, '{"order":"o-1"}')).from).toBe('replayed')
    expect(sent(await ask('other', PAID, '{"order":"o-1"}')).from).toBe('replayed')
    expect(field(await ask(undefined, PAID, '{"order":"o-1"}'), 'idempotency-key')).toBeUndefined()
    expect(problem(await ask(undefined, PAID, '{}'))['code']).toBe('key-missing')
    expect(problem(await ask(undefined, PAID, '{"order":7}'))['code']).toBe('request-invalid')
    expect(runs()).toBe(1)
  })

  it('derives keys from fields, none of which may be missing', async () => {
    const deriveKey = (_: KeyedRequest, body: Uint8Array) => ['order', JSON.parse(String(body)).order]
    const { ask, runs } = setUp({ deriveKey })
    expect(sent(await ask(undefined, PAID, '{"order":"o-1"}')).from).toBe('executed')
    expect(sent(await ask(undefined, PAID, '{"order":"o-1"}')).from).toBe('replayed')
    const missing = problem(await ask(undefined, PAID, '{}'))
    expect(missing).toMatchObject({ code: 'request-invalid', effect: 'none' })
    expect(missing['detail']).toContain('key[1] is undefined')
    expect(runs()).toBe(1)
  })

  it('refuses what no key can be derived from, and tells the diagnostics channel why', async () => {
    const events: unknown[] = []
    const listen = (event: unknown) => events.push(event)
    subscribe(CHANNEL, listen)
    const fault = new SyntaxError('a secret of the body')
    const rejecting = setUp({ deriveKey: () => Promise.reject(fault) })
    const refused = problem(await rejecting.ask(undefined, PAID))
    unsubscribe(CHANNEL, listen)
    expect(refused).toMatchObject({ code: 'request-invalid', effect: 'none', retryable: false })
    expect(JSON.stringify(refused)).not.toContain('secret')
    expect(events).toMatchObject([{ type: 'key-not-derived', digest: '', error: fault }])
    expect(rejecting.runs()).toBe(0)
  })

  it('answers what somebody decided about a held operation', async () => {
    const { ask, store, runs } = setUp()
    await ask('k', { status: 500, headers: [], body: new Uint8Array() })
    const held = await ask('k')
    expect(problem(held)).toMatchObject({ code: 'outcome-unknown', retryable: false, effect: 'unknown' })
    expect(field(held, 'retry-after')).toBeUndefined()
    const id = operationId(operationScope('payments', 'acme'), operationKey('POST', '/payments', 'k'))
    const record = await store.get(id)
    const settled = { status: 202, headers: [], body: Buffer.from('found it') }
    const reply = await store.resolve(id, {
      fence: record?.fence ?? 0,
      as: { state: 'done', outcome: { kind: 'value', value: responseCodec.encode(settled) } },
      reason: 'seen at the bank',
      actor: 'operator',
    })
    expect(reply.state).toBe('resolved')
    expect(sent(await ask('k'))).toMatchObject({ status: 202, from: 'replayed' })
    expect(runs()).toBe(1)
  })

  it('asks what became of a held operation, and answers it', async () => {
    const { ask, runs } = setUp({
      reconcile: () => ({
        outcome: 'done',
        value: { status: 201, headers: [['Location', '/found']], body: Buffer.from('x') },
      }),
    })
    await ask('k', { status: 502, headers: [], body: new Uint8Array() })
    const answer = await ask('k')
    expect(sent(answer)).toMatchObject({ status: 201, from: 'replayed' })
    expect(field(answer, 'location')).toBe('/found')
    expect(runs()).toBe(1)
  })

  it('runs nothing while the store is down, and tells when to come back', async () => {
    const { ask, runs } = setUp({ store: broken(memoryStore(), 'claim', 'get') })
    const answer = await ask('k')
    expect(problem(answer)).toMatchObject({
      status: 503,
      code: 'store-unavailable',
      retryable: true,
      effect: 'none',
    })
    expect(field(answer, 'retry-after')).toMatch(/^\d+$/)
    expect(runs()).toBe(0)
  })

  it('runs unguarded while the store is down only where it is told to, and says so', async () => {
    const { ask } = setUp({ store: broken(memoryStore(), 'claim', 'get'), failOpen: true })
    const answer = await ask('k')
    expect(sent(answer).status).toBe(201)
    expect(field(answer, 'idempotency-bypassed')).toBe('store-unavailable')
    expect(field(answer, 'idempotency-expires')).toBeUndefined()
  })

  it('does not fail open once the work has begun', async () => {
    const { ask, runs } = setUp({
      store: broken(memoryStore(), 'complete', 'renew'),
      failOpen: true,
      leaseMs: 300,
    })
    const answer = await ask('k')
    expect(sent(answer)).toMatchObject({ status: 201, from: 'executed' })
    expect(field(answer, 'idempotency-bypassed')).toBeUndefined()
    expect(runs()).toBe(1)
  })

  it('rejects with what the work threw', async () => {
    const { ask } = setUp()
    const error = new Error('mine')
    await expect(ask('k', () => Promise.reject(error))).rejects.toBe(error)
    expect(problem(await ask('k'))['code']).toBe('outcome-unknown')
  })

  it('starts no work for a client that has gone', async () => {
    const { guard } = setUp()
    const admission = guard.admit({ method: 'POST', target: '/', headers: [['Idempotency-Key', 'k']] })
    if (admission.kind !== 'keyed') throw new Error('not guarded')
    let runs = 0
    const work = async () => {
      runs++
      return PAID
    }
    const handling = { request: admission.request, caller: 'acme', body: new Uint8Array(), work }
    await guard.handle({ ...handling, signal: AbortSignal.abort() })
    expect(runs).toBe(0)
    expect(sent(await guard.handle(handling)).from).toBe('executed')
  })

  it('starts no work for a client that goes while the claim is made', async () => {
    const gone = new AbortController()
    const slow = new Proxy(memoryStore(), {
      get(target, name, receiver) {
        const value: unknown = Reflect.get(target, name, receiver)
        if (typeof value !== 'function') return value
        return (...args: unknown[]) => {
          if (name === 'claim') gone.abort()
          return Reflect.apply(value, target, args)
        }
      },
    })
    const { ask, guard, runs } = setUp({ store: slow })
    const admission = guard.admit({
      method: 'POST',
      target: '/payments',
      headers: [['Idempotency-Key', 'k']],
    })
    if (admission.kind !== 'keyed') throw new Error('not guarded')
    let ran = false
    const work = async () => {
      ran = true
      return PAID
    }
    const body = new Uint8Array()
    await guard.handle({ request: admission.request, caller: 'acme', body, signal: gone.signal, work })
    expect(ran).toBe(false)
    expect(sent(await ask('k')).from).toBe('executed')
    expect(runs()).toBe(1)
  })

  it('keeps the response of a lost claim to itself: another may have run the operation', async () => {
    const losing = new Proxy(memoryStore(), {
      get(target, name, receiver) {
        if (name === 'complete') return async () => false
        const value: unknown = Reflect.get(target, name, receiver)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
    const answer = await setUp({ store: losing }).ask('k')
    expect(problem(answer)).toMatchObject({
      status: 409,
      code: 'claim-lost',
      effect: 'unknown',
      retryable: false,
    })
  })

  it('does not count replays as new keys', async () => {
    const { ask } = setUp({ quota: { newKeys: 2, perMs: 60_000 } })
    for (let time = 0; time < 5; time++) await ask('a')
    expect(sent(await ask('b')).from).toBe('executed')
  })

  it('limits new keys per scope, and still answers known ones', async () => {
    const { ask, store } = setUp({ quota: { newKeys: 2, perMs: 60_000 } })
    await ask('a')
    await ask('b')
    const over = await ask('c')
    expect(problem(over)).toMatchObject({
      status: 429,
      code: 'quota-exceeded',
      retryable: true,
      effect: 'none',
    })
    expect(Number(field(over, 'retry-after'))).toBeGreaterThan(0)
    expect(sent(await ask('a')).from).toBe('replayed')
    expect(sent(await ask('z', PAID, '{}', 'other tenant')).from).toBe('executed')
    const id = operationId(operationScope('payments', 'acme'), operationKey('POST', '/payments', 'c'))
    expect(await store.get(id)).toBeUndefined()
  })

  it('tells the status and location of a response it could not keep', async () => {
    const { ask, runs } = setUp()
    const first = await ask('k', async () => ({ tooLarge: true, status: 201, location: '/p/9' }))
    expect(first.kind).toBe('sent')
    const again = await ask('k')
    expect(sent(again).status).toBe(409)
    expect(problem(again)).toMatchObject({
      code: 'response-not-replayable',
      status: 201,
      location: '/p/9',
      effect: 'done',
      retryable: false,
    })
    expect(runs()).toBe(1)
  })

  it('answers 500 for a record that was tampered with, and runs nothing', async () => {
    const tampering = new Proxy(memoryStore(), {
      get(target, name, receiver) {
        const value: unknown = Reflect.get(target, name, receiver)
        if (name === 'complete') {
          return (claim: never, _outcome: never, retentionMs: number) =>
            target.complete(claim, { kind: 'value', value: new Uint8Array([9, 9, 9, 9, 9, 9]) }, retentionMs)
        }
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
    const { ask, runs } = setUp({ store: tampering })
    await ask('k')
    expect(problem(await ask('k'))).toMatchObject({ status: 500, code: 'record-corrupt', effect: 'done' })
    expect(runs()).toBe(1)
  })

  it.each([
    ['once', { once: undefined }],
    ['onServerError', { onServerError: 'retry' }],
    ['waitMs', { waitMs: -1 }],
    ['maxBodyBytes', { maxBodyBytes: Number.NaN }],
    ['Set-Cookie', { replayHeaders: ['Set-Cookie'] }],
    ['requireKeys', { requireKeys: true }],
  ])('refuses options that make no sense: %s', (name, options) => {
    expect(() => setUp(options as object)).toThrow(name)
  })
})

it('every code has a stable problem type in kebab case, and a status', () => {
  for (const code of Object.keys(ERRORS) as ErrorCode[]) {
    const answer = setUp().guard.refuse(code)
    const document = problem(answer)
    expect(document).toMatchObject({
      type: `urn:onceward:problem:${problemCode(code)}`,
      status: ERRORS[code].status,
      retryable: ERRORS[code].retryable,
      effect: ERRORS[code].effect,
    })
    expect(document['code']).toMatch(/^[a-z]+(-[a-z]+)*$/)
    expect(field(answer, 'retry-after') !== undefined).toBe(ERRORS[code].retryable)
  }
})
