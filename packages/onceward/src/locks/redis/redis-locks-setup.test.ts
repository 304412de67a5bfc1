import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { describeWhere, type RedisServer, startRedis } from '../../../../../test-servers/index.mjs'
import { asksFor, heldBy, listens } from '../../../test/redis/lock-kit.ts'
import { failureOf } from '../../../test/redis/redis-kit.ts'
import { type OpenClient, SINGLE, somePrefix } from '../../../test/redis/redis-suite.ts'
import { type RedisLocks, redisLocks } from './index.ts'

await describeWhere('redis', 'a lock on a server as it is set up', () => {
  let server: RedisServer
  let clients: readonly [OpenClient]
  let a: RedisLocks
  beforeAll(async () => {
    server = await startRedis()
    clients = [await SINGLE['node-redis'](server.url)()]
  })
  beforeEach(() => {
    a = redisLocks(clients[0].client, { prefix: somePrefix() })
  })
  afterEach(() => a.close())
  afterAll(async () => {
    for (const { close } of clients) close()
    await server.stop()
  })

  it('is refused by a server that may throw locks away, unless that is allowed', async () => {
    await server.command('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru')
    const fresh = redisLocks(clients[0].client, { prefix: a.prefix })
    const error = await failureOf(fresh.acquire(asksFor('k')))
    expect(error).toMatchObject({ code: 'STORE_MISCONFIGURED', effect: 'none', retryable: false })
    expect(error.message).toMatch(/allkeys-lru.*noeviction.*the locks/)
    const eviction = (await fresh.doctor()).find(({ check }) => check === 'eviction')
    expect(eviction?.level).toBe('fail')
    await heldBy(redisLocks(clients[0].client, { prefix: a.prefix, allowEviction: true }), 'k')
    await server.command('CONFIG', 'SET', 'maxmemory-policy', 'noeviction')
    await heldBy(fresh, 'other')
  })

  it('is told by the doctor to be forgotten where the server keeps nothing', async () => {
    const findings = new Map((await a.doctor()).map((one) => [one.check, one]))
    for (const check of ['connection', 'version', 'role', 'eviction', 'clock']) {
      expect(findings.get(check)?.level, check).toBe('ok')
    }
    expect(findings.get('persistence')?.level).toBe('warn')
    expect(findings.get('persistence')?.message).toMatch(/others would be granted what is held/)
  })

  it('works for a user who may touch only the prefix, by the commands of docs/redis.md', async () => {
    const commands =
      '+evalsha +eval +time +get +set +unlink +publish +subscribe +unsubscribe +ping +info +hello +auth'
    const user = (more: readonly string[] = []) =>
      server.command(
        ...['ACL', 'SETUSER', 'narrow', 'reset', 'on', '>pw', `~${a.prefix}:*`, `&${a.prefix}:*`],
        ...commands.split(' '),
        ...more,
      )
    await user()
    const url = server.url.replace('redis://', 'redis://narrow:pw@')
    const { client, close } = await SINGLE.ioredis(url)()
    const narrow = redisLocks(client, { prefix: a.prefix })
    const held = await heldBy(narrow, 'k')
    const place = asksFor('k', { placeMs: 60_000 })
    const ear = listens(narrow, place)
    await expect.poll(ear.wakes).toBe(1)
    await narrow.acquire(place)
    await narrow.mark(held, 'tick 1', 60_000)
    expect(await narrow.extend([held])).toEqual([true])
    expect(await narrow.release(held, asksFor('k', { placeMs: 60_000 }))).toMatchObject({ released: true })
    await expect.poll(ear.wakes).toBe(2)
    expect(await narrow.acquire(place)).toMatchObject({ granted: true, mark: 'tick 1' })
    expect(await narrow.transfer(place, asksFor('k'))).toBeDefined()
    expect(await narrow.forceRelease({ key: 'k', by: 'ada', reason: 'it hangs' })).toBe(1)
    expect((await narrow.inspect('k'))?.forced).toHaveLength(1)
    for (const missing of ['-set', '-time', '-evalsha']) {
      await user([missing])
      const error = await failureOf(narrow.acquire(asksFor('other')))
      expect(error, missing).toMatchObject({ code: 'STORE_MISCONFIGURED', effect: 'none' })
      expect(error.message).toMatch(/permission/)
    }
    const elsewhere = redisLocks(client, { prefix: 'elsewhere' })
    expect(await failureOf(elsewhere.acquire(asksFor('k')))).toMatchObject({ code: 'STORE_MISCONFIGURED' })
    await narrow.close()
    close()
    await server.command('ACL', 'DELUSER', 'narrow')
  })

  it('tells a wrong password as one, without the password', async () => {
    await server.command('ACL', 'SETUSER', 'locked', 'reset', 'on', '>right', '~*', '&*', '+@all')
    const url = server.url.replace('redis://', 'redis://locked:wrong-secret@')
    const client = new Redis(url, { maxRetriesPerRequest: 0 })
    client.on('error', () => {})
    const locks = redisLocks(client, { commandTimeoutMs: 500 })
    const error = await failureOf(locks.acquire(asksFor('k')))
    expect(error.effect).toBe('none')
    expect(error.message).not.toContain('secret')
    await locks.close()
    client.disconnect()
    await server.command('ACL', 'DELUSER', 'locked')
  })

  it('refuses clients and options that make no sense, with the mend', () => {
    const { client } = clients[0]
    const wrong = [
      [() => redisLocks({} as never), /needs a Redis client/],
      [() => redisLocks(Promise.resolve(client) as never), /await connect/],
      [() => redisLocks(client, { prefix: 'a{b}' }), /prefix/],
      [() => redisLocks(client, { ttlMs: 5 } as never), /ttlMs.*known are prefix/],
      [() => redisLocks(client, { wait: { replicas: 0, timeoutMs: 5 } }), /wait\.replicas/],
      [() => redisLocks(client, { commandTimeoutMs: 0 }), /commandTimeoutMs/],
    ] as const
    for (const [make, message] of wrong) {
      expect(make).toThrow(TypeError)
      expect(make).toThrow(message)
    }
  })
})
