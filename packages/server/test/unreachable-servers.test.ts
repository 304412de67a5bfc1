import { afterEach, describe, expect, it, vi } from 'vitest'
import { describeWith, type FaultProxy, faultProxy } from '../../../test-servers/index.mjs'
import { command } from './support/in-process.ts'
import { onceward, SLOW_MS, workshop } from './support/processes.ts'
import { startUpstream, until } from './support/servers.ts'

vi.setConfig({ testTimeout: SLOW_MS })

await describeWith(['redis', 'postgres'], 'a gateway with a cache', ({ redis, postgres }) => {
  const shop = workshop()
  let proxy: FaultProxy
  afterEach(() => shop.clear())

  it('starts without it, says so, uses it when it is there, and is ready all the time', async () => {
    proxy = await faultProxy({ target: redis })
    shop.after(() => proxy.stop())
    await proxy.down()
    const database = await postgres.createDatabase()
    shop.after(() => database.drop())
    await command(['migrate', '--store', database.url])
    const upstream = await startUpstream((_, response) => void response.writeHead(201).end('fine'))
    shop.after(() => upstream.close())
    const flags = ['--store', database.url, '--cache', proxy.url(redis.url)]
    const one = await shop.gateway(['--upstream', upstream.url, '--scope', 'public', ...flags])
    const ready = async (of: typeof one) => {
      const admin = /"admin":"([^"]+)"/.exec(of.stderr())?.[1] ?? ''
      const answer = await fetch(`${admin}/readyz`)
      return { code: answer.status, ...((await answer.json()) as { cache?: string }) }
    }
    const post = async (of: typeof one, key: string) => {
      const answer = await fetch(of.url, { method: 'POST', headers: { 'Idempotency-Key': key } })
      return answer.status
    }
    for (let n = 0; n < 5; n++) expect(await post(one, `k${n}`)).toBe(201)
    // A database that takes a second for a write is told as unready: that is not about the cache.
    await expect.poll(() => ready(one)).toMatchObject({ code: 200, cache: 'left alone' })
    await expect.poll(() => one.stderr()).toContain('the cache is left alone')
    expect((await command(['doctor', ...flags])).stdout).toMatch(/^warn +cache: .*Bring Redis back/m)

    await proxy.pass()
    await until(async () => {
      await post(one, 'k0')
      return (await ready(one)).cache === 'ok'
    }, 30_000)
    expect((await command(['doctor', ...flags])).stdout).toMatch(/^ok +cache: The cache answers/m)
    expect(upstream.seen).toHaveLength(5)
  })
})

describe('a command', () => {
  const shop = workshop()
  afterEach(() => shop.clear())

  it('ends by itself although a server keeps its connection and says nothing', async () => {
    const proxy = await faultProxy({ target: { host: '127.0.0.1', port: 9 } })
    shop.after(() => proxy.stop())
    proxy.blackHole()
    for (const url of [
      `redis://127.0.0.1:${proxy.port}`,
      `postgres://u:canary@127.0.0.1:${proxy.port}/a`,
      `mysql://u:canary@127.0.0.1:${proxy.port}/a`,
    ]) {
      const end = await shop.end(onceward(['ls', '--store', url])).ended
      expect(end).toMatchObject({ code: 5, stdout: '' })
      // A connection that says nothing when it is closed is cut in the end, and that is told.
      expect(
        end.stderr
          .replace(/^.*did not close in time.*\n/m, '')
          .trim()
          .split('\n'),
      ).toHaveLength(1)
      expect(end.stderr).not.toContain('canary')
    }
  })
})
