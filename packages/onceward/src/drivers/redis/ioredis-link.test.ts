import { describe, expect, it } from 'vitest'
import { ioRedisLink } from './ioredis-link.ts'
import type { IoRedisCluster } from './redis-handle.ts'

describe('calls of one turn of the event loop to a cluster by ioredis', () => {
  it('are written to each node at once, and those of a later turn by themselves', async () => {
    const log: string[] = []
    const stream = { cork: () => log.push('cork'), uncork: () => log.push('uncork') }
    const cluster = {
      isCluster: true,
      status: 'ready',
      options: {},
      // The second node is not connected yet.
      nodes: () => [{ stream }, {}],
      callBuffer: async (...command: string[]) => log.push(command.join(' ')),
    }
    const { send } = ioRedisLink(cluster as unknown as IoRedisCluster)
    const all = ['a', 'b'].flatMap((key) => send([['GET', key]], key, undefined))
    queueMicrotask(() => void send([['GET', 'c']], 'c', undefined))
    await Promise.all(all)
    await new Promise((resolve) => setImmediate(resolve))
    expect(log).toEqual(['cork', 'GET a', 'GET b', 'GET c', 'uncork'])
    await Promise.all(send([['GET', 'd']], 'd', undefined))
    await new Promise((resolve) => setImmediate(resolve))
    expect(log.slice(5)).toEqual(['cork', 'GET d', 'uncork'])
  })
})
