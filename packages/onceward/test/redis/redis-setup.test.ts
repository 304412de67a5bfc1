import { Redis } from 'ioredis'
import { afterAll, beforeAll, expect, it } from 'vitest'
import {
  describeWhere,
  type RedisServer,
  startRedis,
  startRedisReplica,
} from '../../../../test-servers/index.mjs'
import { redisStore } from '../../src/stores/redis/index.ts'
import { asks, failureOf, granted, receipt, someId } from './redis-kit.ts'
import { SINGLE, somePrefix } from './redis-suite.ts'

/** What `docs/redis.md` says a user needs. */
const COMMANDS =
  '+evalsha +eval +time +get +mget +set +msetnx +setrange +unlink +zadd +zrem +zrange +zcount +zscore +zmscore +zscan +lpush +ltrim +lrange ' +
  '+publish +subscribe +unsubscribe +ping +info +hello +auth +select +wait'

await describeWhere('redis', 'a server that is set up wrongly', () => {
  let server: RedisServer
  beforeAll(async () => {
    server = await startRedis()
  })
  afterAll(() => server.stop())

  const withStore = async <T>(
    body: (store: ReturnType<typeof redisStore>) => Promise<T>,
    options: Parameters<typeof redisStore>[1] = {},
    url = server.url,
  ): Promise<T> => {
    const { client, close } = await SINGLE.ioredis(url)()
    const store = redisStore(client, { prefix: somePrefix(), ...options })
    try {
      return await body(store)
    } finally {
      await store.close()
      close()
    }
  }

  it('is refused when it may throw records away, and accepted once it may not', async () => {
    for (const policy of ['allkeys-lru', 'volatile-ttl']) {
      await server.command('CONFIG', 'SET', 'maxmemory-policy', policy)
      await withStore(async (store) => {
        const error = await failureOf(store.claim(asks(someId())))
        expect(error).toMatchObject({ code: 'STORE_MISCONFIGURED', effect: 'none', retryable: false })
        expect(error.message).toContain(policy)
        expect(error.message).toContain('noeviction')
        const eviction = (await store.doctor()).find((finding) => finding.check === 'eviction')
        expect(eviction?.level).toBe('fail')
        await server.command('CONFIG', 'SET', 'maxmemory-policy', 'noeviction')
        await granted(store, asks(someId()))
      })
    }
  })

  it('is accepted although it may throw records away when that is allowed, and the doctor warns', async () => {
    await server.command('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru')
    await withStore(
      async (store) => {
        await granted(store, asks(someId()))
        const eviction = (await store.doctor()).find((finding) => finding.check === 'eviction')
        expect(eviction?.level).toBe('warn')
      },
      { allowEviction: true },
    )
    await server.command('CONFIG', 'SET', 'maxmemory-policy', 'noeviction')
  })

  it('without room refuses what is new, half writes nothing, and goes on when there is room', async () => {
    await withStore(async (store) => {
      const { claim } = await granted(store, asks(someId()))
      const before = await store.get(claim.id)
      const used = Number(/used_memory:(\d+)/.exec(String(await server.command('INFO', 'memory')))?.[1])
      await server.command('CONFIG', 'SET', 'maxmemory', String(Math.floor(used / 2)))
      const fresh = someId()
      const [first, second] = await Promise.all([
        failureOf(store.claim(asks(fresh))),
        failureOf(store.complete(claim, receipt(), 60_000)),
      ])
      for (const error of [first, second]) {
        expect(error).toMatchObject({ code: 'STORE_FULL', effect: 'none', retryable: true })
        expect(error.message).toMatch(/maxmemory/)
      }
      expect(await store.get(fresh)).toBeUndefined()
      expect(await store.get(claim.id)).toEqual(before)
      expect((await store.stats()).running).toBe(1)
      await server.command('CONFIG', 'SET', 'maxmemory', '0')
      expect(await store.complete(claim, receipt(), 60_000)).toBe(true)
      await granted(store, asks(fresh))
    })
  })

  it('serves a user who may touch only the prefix, by the commands of the documentation', async () => {
    const prefix = somePrefix()
    await server.command(
      'ACL',
      'SETUSER',
      'narrow',
      'reset',
      'on',
      '>pw',
      `~${prefix}:*`,
      `&${prefix}:*`,
      ...COMMANDS.split(' '),
    )
    const url = server.url.replace('redis://', 'redis://narrow:pw@')
    await withStore(
      async (store) => {
        const { claim } = await granted(store, asks(someId()))
        const stop = new AbortController()
        const woken = store.watch(claim.id, stop.signal)
        await store.checkpoint(claim, { name: 'charge', state: 'started', onCrash: 'hold' })
        expect(await store.renew(claim, 60_000)).toBe(true)
        expect(await store.hold(claim, 'no reply')).toBe(true)
        await woken
        const as = { state: 'done', outcome: receipt() } as const
        expect(
          (await store.resolve(claim.id, { fence: claim.fence, as, actor: 'ada', reason: 'seen' })).state,
        ).toBe('resolved')
        const short = await granted(store, asks(someId(), { retentionMs: 1, leaseMs: 1, onCrash: 'rerun' }))
        await store.complete(short.claim, receipt(), 1)
        await expect.poll(() => store.purge()).toBe(1)
        expect(await store.sweep()).toBe(0)
        expect((await store.list({})).records.length).toBe(1)
        expect((await store.list({ state: 'held' })).records.length).toBe(0)
        expect((await store.find(claim.id.digest.slice(0, 12)))?.state).toBe('done')
        expect((await store.audit()).length).toBe(1)
        expect((await store.stats()).done).toBe(1)
        const findings = await store.doctor()
        expect(findings.filter((finding) => finding.level === 'fail')).toEqual([])
      },
      { prefix },
      url,
    )
  })

  it('tells a missing permission as one, and works without the permission to look at the server', async () => {
    const prefix = somePrefix()
    const url = server.url.replace('redis://', 'redis://other:pw@')
    await server.command(
      'ACL',
      'SETUSER',
      'other',
      'reset',
      'on',
      '>pw',
      `~${prefix}:*`,
      `&${prefix}:*`,
      ...COMMANDS.split(' '),
      '-info',
    )
    await withStore(
      async (store) => {
        await granted(store, asks(someId()))
        const findings = await store.doctor()
        expect(findings.find((finding) => finding.check === 'permission')?.level).toBe('warn')
      },
      { prefix },
      url,
    )
    for (const missing of ['-zadd', '-evalsha', '-publish']) {
      await server.command(
        'ACL',
        'SETUSER',
        'other',
        'reset',
        'on',
        '>pw',
        `~${prefix}:*`,
        `&${prefix}:*`,
        ...COMMANDS.split(' '),
        missing,
      )
      await withStore(
        async (store) => {
          const request = asks(someId())
          const attempt = async () => {
            const { claim } = await granted(store, request)
            const stop = new AbortController()
            const watching = store.watch(claim.id, stop.signal)
            await expect
              .poll(async () => (await server.command('PUBSUB', 'CHANNELS', `${prefix}:*`)) as string[])
              .toHaveLength(1)
            await store.get(claim.id)
            stop.abort()
            await watching
            await store.complete(claim, receipt(), 60_000)
          }
          const error = await failureOf(attempt())
          expect(error).toMatchObject({ code: 'STORE_MISCONFIGURED', effect: 'none' })
          expect(error.message).toContain(missing.slice(1))
          expect(error.message).toMatch(/permission/)
        },
        { prefix },
        url,
      )
    }
    await withStore(
      async (store) => {
        expect(await failureOf(store.claim(asks(someId())))).toMatchObject({ code: 'STORE_MISCONFIGURED' })
      },
      { prefix: 'elsewhere' },
      url,
    )
  })

  it('is told as asking for another password, without telling the password', async () => {
    await server.command('ACL', 'SETUSER', 'locked', 'reset', 'on', '>right', '~*', '&*', '+@all')
    const client = new Redis(server.url.replace('redis://', 'redis://locked:wrong-secret@'), {
      maxRetriesPerRequest: 0,
    })
    client.on('error', () => {})
    const store = redisStore(client, { commandTimeoutMs: 500 })
    const error = await failureOf(store.claim(asks(someId())))
    expect(error.effect).toBe('none')
    expect(error.message).not.toContain('secret')
    await store.close()
    client.disconnect()
  })

  it('is told by the doctor to forget, or to lose what a replica has not got', async () => {
    const replica = await startRedisReplica(server)
    const findings = () =>
      withStore(async (store) => new Map((await store.doctor()).map((one) => [one.check, one])))
    const before = await findings()
    expect(before.get('persistence')).toMatchObject({ level: 'warn' })
    expect(before.get('persistence')?.message).toMatch(/a restart forgets everything.*appendonly yes/)
    expect(before.get('replication')).toMatchObject({ level: 'warn' })
    expect(before.get('replication')?.message).toMatch(/min-replicas-to-write 1/)
    for (const check of ['connection', 'version', 'role', 'eviction', 'clock', 'index']) {
      expect(before.get(check)?.level).toBe('ok')
    }
    await server.command('CONFIG', 'SET', 'appendonly', 'yes')
    await server.command('CONFIG', 'SET', 'min-replicas-to-write', '1')
    await server.command('CONFIG', 'SET', 'maxmemory', '1gb')
    expect((await findings()).get('persistence')?.message).toMatch(/everysec.*second/)
    await server.command('CONFIG', 'SET', 'appendfsync', 'always')
    const after = await findings()
    for (const check of ['persistence', 'replication', 'memory']) expect(after.get(check)?.level).toBe('ok')
    await server.command('CONFIG', 'SET', 'min-replicas-to-write', '0')
    await server.command('CONFIG', 'SET', 'appendonly', 'no')
    await server.command('CONFIG', 'SET', 'maxmemory', '0')
    await replica.stop()
  })

  it('is told as a replica when it is one', async () => {
    const replica = await startRedisReplica(server)
    await withStore(
      async (store) => {
        const error = await failureOf(store.claim(asks(someId())))
        expect(error).toMatchObject({ code: 'STORE_READ_ONLY', effect: 'none' })
        expect(error.message).toMatch(/primary/)
        expect((await store.doctor()).find((finding) => finding.check === 'role')?.level).toBe('fail')
      },
      {},
      replica.url,
    )
    await replica.stop()
  })
})
