import { expect, it } from 'vitest'
import { describeWhere, faultProxy, startRedis, startRedisReplica } from '../../../../test-servers/index.mjs'
import { redisStore } from '../../src/stores/redis/index.ts'
import { asks, eventually, failureOf, granted, receipt, someId } from './redis-kit.ts'
import { SINGLE, somePrefix } from './redis-suite.ts'

await describeWhere('redis', 'a server that fails', () => {
  it('that is killed and started again has kept what was answered, and calls go on', async () => {
    const server = await startRedis({ persistence: 'aof' })
    for (const name of ['node-redis', 'ioredis'] as const) {
      const { client, close } = await SINGLE[name](server.url)()
      const store = redisStore(client, { prefix: somePrefix(), commandTimeoutMs: 1000 })
      const [first, second] = [asks(someId()), asks(someId())]
      const done = await eventually(() => granted(store, first))
      await eventually(() => store.complete(done.claim, receipt('kept'), 600_000))
      const running = await eventually(() => granted(store, second))
      const ongoing = Array.from({ length: 20 }, () =>
        store.claim(asks(someId())).catch((error: unknown) => error),
      )
      await server.kill()
      for (const outcome of await Promise.all(ongoing)) {
        if (outcome instanceof Error)
          expect(outcome).toMatchObject({ code: 'STORE_UNAVAILABLE', effect: 'none' })
      }
      expect(await failureOf(store.claim(asks(someId())))).toMatchObject({
        code: 'STORE_UNAVAILABLE',
        effect: 'none',
      })
      await server.restart()
      const reply = await eventually(() => store.claim(asks(done.claim.id)))
      expect(reply).toMatchObject({ state: 'done', outcome: receipt('kept') })
      expect(await eventually(() => store.complete(running.claim, receipt(), 60_000))).toBe(true)
      await store.close()
      close()
    }
    await server.stop()
  }, 60_000)

  it('that stands still is given up in time, and grants nothing to those who have given up', async () => {
    const server = await startRedis()
    for (const name of ['node-redis', 'ioredis'] as const) {
      const { client, close } = await SINGLE[name](server.url)()
      const store = redisStore(client, { prefix: somePrefix(), commandTimeoutMs: 300 })
      // How far the server's clock is ahead is known to the time that the fastest of these takes.
      for (let call = 0; call < 20; call++) await eventually(() => store.get(someId()))
      await server.pause()
      const started = performance.now()
      const [sent, gathered] = [someId(), someId()]
      const first = failureOf(store.claim(asks(sent)))
      const more = Array.from({ length: 3 }, () => failureOf(store.claim(asks(gathered))))
      for (const error of await Promise.all([first, ...more])) {
        expect(error).toMatchObject({ code: 'STORE_UNAVAILABLE', effect: 'none' })
      }
      expect(performance.now() - started).toBeLessThan(15_000)
      await server.resume()
      const { claim } = await eventually(() => granted(store, asks(someId())))
      expect(await eventually(() => store.complete(claim, receipt(), 60_000))).toBe(true)
      expect(await eventually(() => store.get(sent))).toBeUndefined()
      expect(await eventually(() => store.get(gathered))).toBeUndefined()
      await store.close()
      close()
    }
    await server.stop()
  }, 60_000)

  it('whose reply was lost answers the same claim, and the same completion, when it is asked again', async () => {
    const server = await startRedis()
    const proxy = await faultProxy({ target: server })
    for (const name of ['node-redis', 'ioredis'] as const) {
      const { client, close } = await SINGLE[name](proxy.url(server.url))()
      const store = redisStore(client, { prefix: somePrefix(), commandTimeoutMs: 2000 })
      const direct = await SINGLE.ioredis(server.url)()
      const beside = redisStore(direct.client, { prefix: store.prefix })
      await store.get(someId())
      const request = asks(someId())
      proxy.cutOnReplyTo(request.id.digest)
      // ioredis sends again by itself what was under way; node-redis leaves that to us.
      const { claim } = await eventually(() => granted(store, request))
      await proxy.hasFired()
      expect(claim).toMatchObject({ owner: request.owner, attempt: 1 })
      expect(await beside.get(request.id)).toMatchObject({ fence: claim.fence, attempt: 1, duplicates: 0 })
      proxy.cutOnReplyTo(request.id.digest)
      expect(await eventually(() => store.complete(claim, receipt(), 60_000))).toBe(true)
      await proxy.hasFired()
      const { history } = (await beside.get(request.id)) ?? {}
      expect(history?.map((entry) => entry.event)).toEqual(['claimed', 'completed'])
      await proxy.pass()
      await store.close()
      await beside.close()
      direct.close()
      close()
    }
    await proxy.stop()
    await server.stop()
  }, 60_000)
})

await describeWhere('redis', 'acknowledgement by replicas', () => {
  it('makes sure of what is granted and ended, and tells too few as an error that can be asked again', async () => {
    const server = await startRedis()
    const replica = await startRedisReplica(server)
    for (const name of ['node-redis', 'ioredis'] as const) {
      const { client, close } = await SINGLE[name](server.url)()
      const wait = { replicas: 1, timeoutMs: 200 }
      const store = redisStore(client, { prefix: somePrefix(), wait })
      const known = asks(someId())
      const { claim } = await eventually(() => granted(store, known))
      await replica.pause()
      const request = asks(someId())
      const errors = await Promise.all([
        failureOf(store.claim(request)),
        failureOf(store.complete(claim, receipt(), 60_000)),
      ])
      // What is repeated has been done already, and is no better acknowledged for it.
      errors.push(await failureOf(store.claim(request)))
      errors.push(await failureOf(store.complete(claim, receipt(), 60_000)))
      errors.push(await failureOf(store.claim(asks(claim.id))))
      for (const error of errors) {
        expect(error).toMatchObject({ code: 'STORE_UNAVAILABLE', effect: 'none', retryable: true })
        expect(error.message).toMatch(/0 of 1 replicas/)
      }
      await replica.resume()
      const again = await eventually(() => granted(store, request))
      expect(again.claim.attempt).toBe(1)
      expect(await eventually(() => store.complete(claim, receipt(), 60_000))).toBe(true)
      expect((await eventually(() => store.claim(asks(claim.id)))).state).toBe('done')
      await store.close()
      close()
    }
    await replica.stop()
    await server.stop()
  }, 60_000)
})

await describeWhere('redis', 'waiters', () => {
  it('are woken across connections, also after the connection on which they listen was lost', async () => {
    const server = await startRedis()
    for (const name of ['node-redis', 'ioredis'] as const) {
      const [one, other] = [await SINGLE[name](server.url)(), await SINGLE[name](server.url)()]
      const prefix = somePrefix()
      const [a, b] = [redisStore(one.client, { prefix }), redisStore(other.client, { prefix })]
      const { claim } = await granted(a, asks(someId()))
      const signal = new AbortController().signal
      const woken = b.watch(claim.id, signal)
      await expect.poll(() => b.connection.isListening(), { timeout: 5000 }).toBe(true)
      await server.command('CLIENT', 'KILL', 'TYPE', 'pubsub')
      await expect.poll(() => b.connection.isListening(), { timeout: 5000 }).toBe(true)
      await a.complete(claim, receipt(), 60_000)
      await woken
      const second = await granted(a, asks(someId()))
      const wokenInTheGap = b.watch(second.claim.id, signal)
      await expect.poll(() => b.connection.isListening(), { timeout: 5000 }).toBe(true)
      await server.command('CLIENT', 'KILL', 'TYPE', 'pubsub')
      await a.complete(second.claim, receipt(), 60_000)
      await wokenInTheGap
      for (const store of [a, b]) await store.close()
      one.close()
      other.close()
    }
    await server.stop()
  }, 30_000)

  it('who give up while their connection is away leave no subscription behind', async () => {
    const server = await startRedis()
    const proxy = await faultProxy({ target: server })
    for (const name of ['node-redis', 'ioredis'] as const) {
      const { client, close } = await SINGLE[name](proxy.url(server.url))()
      const prefix = somePrefix()
      const store = redisStore(client, { prefix })
      const [first, second] = [await granted(store, asks(someId())), await granted(store, asks(someId()))]
      const [stays, leaves] = [new AbortController(), new AbortController()]
      const staying = store.watch(first.claim.id, stays.signal)
      const leaving = store.watch(second.claim.id, leaves.signal)
      const channels = async () =>
        ((await server.command('PUBSUB', 'CHANNELS', `${prefix}*`)) as readonly unknown[]).length
      await expect.poll(channels, { timeout: 5000 }).toBe(2)
      await proxy.down()
      await expect.poll(() => store.connection.isListening(), { timeout: 5000 }).toBe(false)
      leaves.abort()
      await leaving
      // Nobody can ask while the server is away, and who asks in vain is woken: the first one asks again.
      await staying
      await proxy.pass()
      const back = store.watch(first.claim.id, stays.signal)
      await expect.poll(() => store.connection.isListening(), { timeout: 10_000 }).toBe(true)
      await expect.poll(channels, { timeout: 10_000 }).toBe(1)
      stays.abort()
      await back
      await store.close()
      close()
    }
    await proxy.stop()
    await server.stop()
  }, 60_000)

  it('cost nothing when nobody waits: an end publishes only what is waited for', async () => {
    const server = await startRedis()
    const { client, close } = await SINGLE.ioredis(server.url)()
    const store = redisStore(client, { prefix: somePrefix() })
    const published = async () =>
      Number(
        /cmdstat_publish:calls=(\d+)/.exec(String(await server.command('INFO', 'commandstats')))?.[1] ?? 0,
      )
    const lonely = await granted(store, asks(someId()))
    await store.complete(lonely.claim, receipt(), 60_000)
    expect(await published()).toBe(0)
    const { claim } = await granted(store, asks(someId()))
    const woken = [1, 2, 3].map(() => store.watch(claim.id, new AbortController().signal))
    await expect.poll(() => store.connection.isListening()).toBe(true)
    await store.get(claim.id)
    await store.complete(claim, receipt(), 60_000)
    await Promise.all(woken)
    expect(await published()).toBe(1)
    await store.close()
    close()
    await server.stop()
  }, 30_000)
})
