import { afterAll, beforeAll, describe, it } from 'vitest'
import {
  describeWhere,
  describeWith,
  type RedisCluster,
  startRedisCluster,
} from '../../../../test-servers/index.mjs'
import { registerCases } from '../../src/testing/index.ts'
import {
  inCluster,
  inMariadb,
  inMemory,
  inPostgres,
  inRedis,
  inShards,
  inSqlite,
  inTiers,
  sealed,
} from './token-stores.ts'
import { tokenCases } from './tokens-cases.ts'

const options = { timeout: 30_000 }

describe('tokens in memory', options, () => registerCases(it, tokenCases(inMemory)))
describe('tokens in SQLite', options, () => registerCases(it, tokenCases(inSqlite)))
describe('tokens in SQLite, sealed', options, () => registerCases(it, tokenCases(sealed(inSqlite))))

await describeWith('redis', 'tokens in Redis', ({ redis }) => {
  describe('plain', options, () => registerCases(it, tokenCases(inRedis(redis))))
  describe('in shards', options, () => registerCases(it, tokenCases(inShards(inRedis(redis)))))
})
await describeWhere('redis', 'tokens in a Redis cluster', () => {
  let cluster: RedisCluster
  beforeAll(async () => {
    cluster = await startRedisCluster()
  }, 60_000)
  afterAll(() => cluster?.stop())
  describe('of three nodes', options, () => registerCases(it, tokenCases(inCluster(() => cluster.nodes))))
})
await describeWith('postgres', 'tokens in PostgreSQL', ({ postgres }) => {
  describe('plain', options, () => registerCases(it, tokenCases(inPostgres(postgres))))
})
await describeWith('mariadb', 'tokens in MariaDB', ({ mariadb }) => {
  describe('plain', options, () => registerCases(it, tokenCases(inMariadb(mariadb))))
})
await describeWith(['redis', 'postgres'], 'tokens in tiers', ({ redis, postgres }) => {
  describe('PostgreSQL behind Redis', options, () => registerCases(it, tokenCases(inTiers(postgres, redis))))
})
