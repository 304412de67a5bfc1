import { Cluster, Redis } from 'ioredis'
import { createClient } from 'redis'
import { afterEach, describe, expect, it } from 'vitest'
import { inspectClient, safeRedis } from '../../src/redis-retry/index.ts'
import { SENDS_ONCE } from './retry-kit.ts'

describe('the options of a safe client', () => {
  const ends: (() => unknown)[] = []
  afterEach(() => {
    for (const end of ends.splice(0)) end()
  })
  /** A client that never connects. */
  const idle = (options: object) => {
    const client = new Redis({ lazyConnect: true, ...SENDS_ONCE, ...options })
    ends.push(() => client.disconnect())
    return client
  }

  it('refuses a client that would send again by itself, and names what to change', () => {
    const careless = new Redis({ lazyConnect: true })
    ends.push(() => careless.disconnect())
    expect(() => safeRedis(careless)).toThrow(TypeError)
    for (const mend of [/autoResendUnfulfilledCommands/, /maxRetriesPerRequest/, /enableOfflineQueue/])
      expect(() => safeRedis(careless)).toThrow(mend)
    expect(() => safeRedis(idle({ autoResendUnfulfilledCommands: true }))).toThrow(
      /autoResend.* Set it to false/,
    )
    expect(() => safeRedis(idle({ maxRetriesPerRequest: null }))).toThrow(
      /maxRetriesPerRequest is null.* Set it to 0/,
    )
    expect(() => safeRedis(idle({ maxRetriesPerRequest: 20 }))).toThrow(/maxRetriesPerRequest is 20/)
    expect(() => safeRedis(idle({ enableOfflineQueue: true }))).toThrow(/enableOfflineQueue/)
    expect(() => safeRedis(idle({ commandTimeout: 500 }))).toThrow(/commandTimeout is 500.*attemptTimeoutMs/)
    expect(() => safeRedis(idle({ retryStrategy: null }))).toThrow(/retryStrategy/)
    expect(() => safeRedis(idle({ keyPrefix: 'mine:' }))).toThrow(
      /^safeRedis .* without keyPrefix.* keys whole/,
    )
    expect(() => safeRedis(idle({}))).not.toThrow()
    const fixed = createClient({ socket: { reconnectStrategy: false } })
    expect(() => safeRedis(fixed)).toThrow(/reconnectStrategy/)
    expect(() => safeRedis(createClient())).not.toThrow()
    const mapped = createClient({ commandOptions: { typeMapping: { 36: Buffer } } })
    expect(() => safeRedis(mapped)).toThrow(/typeMapping is set.*withTypeMapping\({}\)/)
    expect(() => safeRedis(createClient().withTypeMapping({ 58: String }))).toThrow(/typeMapping/)
    const hasty = createClient({ commandOptions: { timeout: 100 } })
    expect(() => safeRedis(hasty)).toThrow(/commandOptions\.timeout is 100.*attemptTimeoutMs/)
    expect(() => safeRedis(mapped.withTypeMapping({}))).not.toThrow()
    const cluster = new Cluster([{ host: '127.0.0.1', port: 1 }], { lazyConnect: true })
    ends.push(() => cluster.disconnect())
    expect(() => safeRedis(cluster)).toThrow(/retryDelayOnFailover is 100.* Set it to 0/)
  })

  it('tells the same of a client line by line, as a doctor does', () => {
    const careless = new Redis({ lazyConnect: true, reconnectOnError: () => 2 })
    ends.push(() => careless.disconnect())
    const findings = inspectClient(careless)
    expect(findings.filter(({ level }) => level === 'fail').map(({ check }) => check)).toEqual([
      'resend',
      'retries',
      'offline-queue',
    ])
    expect(findings.find(({ check }) => check === 'reconnect-on-error')?.level).toBe('warn')
    const prefixed = inspectClient(idle({ keyPrefix: 'mine:' })).filter(({ level }) => level === 'fail')
    expect(prefixed).toMatchObject([
      {
        check: 'key-prefix',
        message: expect.stringMatching(/keyPrefix is "mine:".*keys whole \("mine:name"\)/),
      },
    ])
    expect(inspectClient(idle({})).every(({ level }) => level === 'ok')).toBe(true)
    expect(inspectClient(createClient()).every(({ level }) => level === 'ok')).toBe(true)
    expect(() => inspectClient({} as never)).toThrow(/needs a Redis client/)
  })

  it('refuses options that make no sense', () => {
    const client = idle({})
    const wrong: readonly [object, RegExp][] = [
      [{ retentionMs: 10_000 }, /retentionMs must exceed deadlineMs \(10000\)/],
      [{ deadlineMs: 600_000 }, /retentionMs must exceed/],
      [{ retentionMs: 15_000 }, /by more than 5000/],
      [{ mode: 'quick' }, /mode must be one of strict, fast/],
      [{ deadlineMs: 0 }, /deadlineMs/],
      [{ deadlineMs: 500, attemptTimeoutMs: 501 }, /attemptTimeoutMs must not exceed/],
      [{ attemptTimeoutMs: -1 }, /attemptTimeoutMs/],
      [{ maxInFlight: 0 }, /maxInFlight/],
      [{ prefix: 'a{b}' }, /prefix must be/],
      [{ replies: 'json' }, /replies must be one of/],
      [{ wait: { replicas: 0, timeoutMs: 1 } }, /wait.replicas/],
      [{ observer: 'me' }, /observer must be a function/],
      [{ deadline: 5 }, /unknown field "deadline"/],
    ]
    for (const [options, message] of wrong) expect(() => safeRedis(client, options)).toThrow(message)
    expect(() => safeRedis(client, { retentionMs: 15_001 })).not.toThrow()
    expect(() => safeRedis(undefined as never)).toThrow(/needs a Redis client/)
  })
})
