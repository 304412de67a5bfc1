import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { describeWhere, type RedisServer, startRedis } from '../../../../../test-servers/index.mjs'
import { SINGLE } from '../../../test/redis/redis-suite.ts'
import type { AcquireRequest, PlaceGrant } from '../lock-backend.ts'
import { type RedisLocks, redisLocks } from './index.ts'

await describeWhere('redis', 'what a handoff costs', () => {
  let server: RedisServer
  beforeAll(async () => {
    server = await startRedis()
  })
  afterAll(() => server.stop())

  /** Calls of commands by name, those inside of scripts included. */
  const counted = async (): Promise<ReadonlyMap<string, number>> => {
    const text = String(await server.command('INFO', 'commandstats'))
    return new Map(
      [...text.matchAll(/cmdstat_([^:]+):calls=(\d+)/g)].map(([, name = '', calls]) => [name, Number(calls)]),
    )
  }
  const request = (over: Partial<AcquireRequest> = {}): AcquireRequest => ({
    key: 'k',
    token: randomBytes(18).toString('base64url'),
    mode: 'exclusive',
    permits: 1,
    ttlMs: 30_000,
    owner: 'one:1',
    ...over,
  })

  /** Lets two processes hand the key to each other, and answers what that took. */
  const handedOver = async (name: 'node-redis' | 'ioredis', offers: boolean) => {
    const clients = [await SINGLE[name](server.url)(), await SINGLE[name](server.url)()] as const
    const prefix = `handoffs-${name}-${offers}`
    const [a, b] = clients.map(({ client }) => redisLocks(client, { prefix })) as [RedisLocks, RedisLocks]
    const handoffs = 100
    let left = 0
    const fences: number[] = []
    const asks = () => request({ placeMs: 5000, ...(offers ? { round: 1 } : {}) })
    const work = async (backend: RedisLocks) => {
      let mine = asks()
      const turn = (token: string) => {
        let wake: (granted?: PlaceGrant) => void = () => {}
        const woken = new Promise<PlaceGrant | undefined>((resolve) => {
          wake = resolve
        })
        return { woken, leave: backend.watch({ key: 'k', token }, wake) }
      }
      let waits = turn(mine.token)
      let reply = await backend.acquire(mine)
      for (;;) {
        if (!reply.granted) {
          const granted = await waits.woken
          waits.leave()
          waits = turn(mine.token)
          reply = granted ? { granted: true, ...granted } : await backend.acquire(mine)
          continue
        }
        waits.leave()
        fences.push(reply.fence ?? 0)
        if (left-- <= 0) break
        const next = asks()
        waits = turn(next.token)
        const answer = await backend.release(mine, next)
        expect(answer.released).toBe(true)
        mine = next
        reply = answer.next ?? { granted: false, retryAfterMs: 1 }
      }
      await backend.release(mine)
    }
    // The first handoffs connect, subscribe and load the scripts.
    left = 4
    await Promise.all([work(a), work(b)])
    left = handoffs
    const before = await counted()
    await Promise.all([work(a), work(b)])
    const after = await counted()
    await Promise.all([a.close(), b.close()])
    for (const { close } of clients) close()
    expect(fences).toEqual([...fences].sort((one, other) => one - other))
    const used = [...after].flatMap(([command, calls]) => {
      const more = calls - (before.get(command) ?? 0)
      return more > 0 && command !== 'info' ? [[command, more / handoffs] as const] : []
    })
    const sum = used.reduce((total, [, calls]) => total + calls, 0)
    return { sum, scripts: new Map(used).get('evalsha') ?? 0, used: JSON.stringify(Object.fromEntries(used)) }
  }

  for (const name of ['node-redis', 'ioredis'] as const) {
    it(`one call and four commands between two processes that both go on waiting, by ${name}`, async () => {
      const { sum, scripts, used } = await handedOver(name, true)
      expect(scripts, used).toBeLessThan(1.2)
      expect(sum, used).toBeLessThan(4.5)
    })

    it(`two calls and six commands where turns are only told of, by ${name}`, async () => {
      const { sum, scripts, used } = await handedOver(name, false)
      expect(scripts, used).toBeLessThan(2.2)
      expect(sum, used).toBeLessThan(6.5)
    })
  }
})
