import { Redis } from 'ioredis'
import { describe, it } from 'vitest'
import { describeWith } from '../../../../test-servers/index.mjs'
import { SINGLE } from '../redis/redis-suite.ts'
import { DEDUPE_CASES } from './dedupe-cases.ts'
import { modelRun } from './dedupe-model.ts'
import { encrypted, inMemory, moving, type OpenRig, onSqlite, sharded } from './dedupe-rig.ts'
import { onMysql, onPostgres, onRedis, tieredOver } from './server-rigs.ts'

function suite(title: string, open: OpenRig, runs: number): void {
  describe(`dedupe on ${title}`, { timeout: 60_000 }, () => {
    for (const { rule, run } of DEDUPE_CASES) {
      it(rule, async () => {
        const rig = await open()
        try {
          await run(rig)
        } finally {
          await rig.close()
        }
      })
    }
    it('answers random calls as the model does', () => modelRun(open, { runs }))
  })
}

suite('memory', inMemory, 300)
suite('SQLite', onSqlite(), 30)
suite('an encrypted store', encrypted, 5)
suite('a sharded store', sharded, 5)

await describeWith('redis', 'on a single server', ({ redis }) => {
  suite('Redis by node-redis', onRedis(SINGLE['node-redis'](redis.url)), 15)
  suite('Redis by ioredis', onRedis(SINGLE.ioredis(redis.url)), 15)
})
await describeWith(['postgres', 'redis'], 'on PostgreSQL', ({ postgres, redis }) => {
  suite('PostgreSQL by pg', onPostgres(postgres, 'pg'), 6)
  suite('PostgreSQL by postgres', onPostgres(postgres, 'postgres'), 3)
  const cache = () => {
    const source = new Redis(redis.url)
    return { source, close: () => source.disconnect() }
  }
  suite('a tiered store', tieredOver(onPostgres(postgres, 'pg'), cache), 2)
})
for (const server of ['mariadb', 'mysql'] as const)
  await describeWith(server, `on ${server}`, (servers) => suite(server, onMysql(servers[server]), 6))

describe('a layout that changes', () => {
  const held = DEDUPE_CASES.filter(({ rule }) => !/window from its first|purges what/.test(rule))
  for (const { rule, run } of held) {
    it(rule, { timeout: 60_000 }, async () => {
      const rig = await moving()
      try {
        await run(rig)
      } finally {
        await rig.close()
      }
    })
  }
})
