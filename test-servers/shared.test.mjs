import { expect, it } from 'vitest'
import { describeWith, sharedRedis } from './index.mjs'

await describeWith(['redis', 'postgres', 'mariadb'], 'the shared servers', ({ redis, postgres, mariadb }) => {
  it('answer their clients', async () => {
    expect(await redis.command('PING')).toBe('PONG')
    expect(await postgres.query('SELECT 1 AS one')).toEqual([{ one: 1 }])
    expect(await mariadb.query('SELECT 1 AS one')).toEqual([{ one: 1 }])
    expect((await sharedRedis()).url).toBe(redis.url)
  })
})
await describeWith('mysql', 'mysql', () => {
  it('x', () => {})
})
