import { randomBytes } from 'node:crypto'
import { afterEach, expect, it, vi } from 'vitest'
import {
  describeWhere,
  describeWith,
  type RedisEndpoint,
  startRedis,
  startRedisReplica,
} from '../../../test-servers/index.mjs'
import { command } from './support/in-process.ts'
import { SLOW_MS, workshop } from './support/processes.ts'
import { answered, COMMANDS, GATEWAY, refused, withParts } from './support/refused.ts'
import { startUpstream } from './support/servers.ts'

vi.setConfig({ testTimeout: SLOW_MS })

await describeWith('redis', 'the commands on Redis', ({ redis }) => {
  const place = () => `prefix=errors:${randomBytes(6).toString('hex')}`

  it.each(COMMANDS)('say that nobody listens there: %s', async (...args) => {
    await refused([...args, '--store', 'redis://:canary@127.0.0.1:1'], /nobody listens there.*ECONNREFUSED/)
  })

  it.each(COMMANDS)('say that a user or password is refused: %s', async (...args) => {
    const url = withParts(redis.url, (changed) => {
      changed.username = 'somebody'
      changed.password = 'can%61ry'
    })
    await refused([...args, '--store', url], /the user name or the password is wrong/)
  })

  it.each([
    ['redis+cluster', '', /none of these nodes answers as a part of a cluster/],
    ['redis+sentinel', '/main', /know a primary called main/],
    ['redis', '/9999', /no database of that number/],
  ])('say that it is no %s, and what to do', async (scheme, path, message) => {
    const url = `${redis.url.replace('redis:', `${scheme}:`)}${path}`
    await refused(['ls', '--store', url], message)
  })

  it('say which permission a user lacks', async () => {
    const name = `u${randomBytes(4).toString('hex')}`
    await redis.command(
      'ACL',
      'SETUSER',
      name,
      'on',
      '>pass/word',
      '~errors:*',
      '&errors:*',
      '+ping',
      '+hello',
      '+client',
    )
    const url = `${redis.url.replace('redis://', `redis://${name}:pass%2Fword@`)}?${place()}`
    await refused(['ls', '--store', url], /give this user the permission; docs\/redis\.md/)
    await redis.command('ACL', 'DELUSER', name)
  })

  it('tell a value that is not one of ours by its operation, and never run it again', async () => {
    const prefix = place()
    const store = `${redis.url}?${prefix}`
    const { id } = await answered(store)
    const keys = (await redis.command('KEYS', `${prefix.slice(7)}*${id}*`)) as unknown[]
    expect(keys.length).toBeGreaterThan(0)
    for (const key of keys) await redis.command('SET', String(key), 'not ours')
    const shop = workshop()
    const upstream = await startUpstream((_, response) => void response.end('again'))
    const gateway = await shop.gateway(['--upstream', upstream.url, '--scope', 'public', '--store', store])
    const answer = await fetch(gateway.url, { method: 'POST', headers: { 'Idempotency-Key': 'k' } })
    expect([answer.status, await answer.json()]).toMatchObject([500, { effect: 'unknown', retryable: false }])
    expect(upstream.seen).toHaveLength(0)
    await refused(['show', id, '--store', store], /holds something else than a record of this store/)
    await shop.clear()
    await upstream.close()
  })

  it('has no schema that could be missing', async () => {
    const store = `${redis.url}?${place()}`
    for (const flags of [[], ['--dry-run'], ['--sql']])
      expect((await command(['migrate', ...flags, '--store', store])).code).toBe(0)
    expect(await command(['ls', '--store', store])).toMatchObject({ code: 0, stdout: '', stderr: '' })
  })
})

await describeWhere('redis', 'the commands on a Redis that cannot be used', () => {
  const opened: RedisEndpoint[] = []
  afterEach(async () => {
    for (const one of opened.splice(0)) await (one as Awaited<ReturnType<typeof startRedis>>).stop()
  })

  it('refuse one that would throw records away', async () => {
    const redis = await startRedis({ config: { maxmemory: '50mb', 'maxmemory-policy': 'allkeys-lru' } })
    opened.push(redis)
    for (const args of COMMANDS.filter(([first]) => first !== 'doctor'))
      await refused([...args, '--store', redis.url], /maxmemory-policy.*noeviction/)
    const told = await command(['doctor', '--store', redis.url])
    expect(told).toMatchObject({ code: 1, stderr: '' })
    expect(told.stdout).toMatch(/^fail +eviction: /m)
  })

  it('refuse a replica, which takes no writes', async () => {
    const primary = await startRedis()
    opened.push(primary)
    const replica = await startRedisReplica(primary)
    opened.unshift(replica)
    await refused([...GATEWAY, '--store', replica.url], /replica|read-only/)
  })

  it('take a password', async () => {
    const redis = await startRedis({ password: 'pass/word' })
    opened.push(redis)
    expect(await command(['ls', '--store', redis.url])).toMatchObject({ code: 0, stderr: '' })
    const bare = `redis://${redis.host}:${redis.port}`
    await refused(['ls', '--store', bare], /it asks for a password; give it in the URL/)
  })
})
