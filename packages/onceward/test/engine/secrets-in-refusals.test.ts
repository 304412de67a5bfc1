import { describe, expect, it } from 'vitest'
import { createOnce } from '../../src/core/index.ts'
import { encryptedStore } from '../../src/stores/encrypted/index.ts'
import { memoryStore } from '../../src/stores/memory/index.ts'
import { mysqlStore } from '../../src/stores/mysql/index.ts'
import { postgresStore } from '../../src/stores/postgres/index.ts'
import { redisStore } from '../../src/stores/redis/index.ts'
import { shardedStore } from '../../src/stores/sharded/index.ts'
import { tieredStore } from '../../src/stores/tiered/index.ts'

const SECRET = `${'hunter2'.repeat(6)}A=`
const url = `postgres://shop:${SECRET}@db.example/shop` as never
const key = SECRET as never

describe('a URL or a key that is given in the wrong place', () => {
  it.each<[string, () => unknown]>([
    ['createOnce', () => createOnce(url)],
    ['the store of createOnce', () => createOnce({ store: url, scope: 'shop' })],
    ['postgresStore', () => postgresStore(url)],
    ['mysqlStore', () => mysqlStore(url)],
    ['redisStore', () => redisStore(url)],
    ['the options of a store', () => memoryStore(url)],
    ['tieredStore', () => tieredStore(url)],
    ['the cache of tieredStore', () => tieredStore({ cache: url, store: memoryStore() })],
    ['the store of tieredStore', () => tieredStore({ cache: {} as never, store: url })],
    ['shardedStore', () => shardedStore(url)],
    ['a shard', () => shardedStore({ amber: url })],
    ['encryptedStore', () => encryptedStore(url, { keys: [] })],
    ['the options of encryptedStore', () => encryptedStore(memoryStore(), key)],
    ['the ring', () => encryptedStore(memoryStore(), { keys: key })],
    ['an entry of the ring', () => encryptedStore(memoryStore(), { keys: [key] })],
    ['the id of a key', () => encryptedStore(memoryStore(), { keys: [{ id: key, key }] })],
  ])('is a TypeError that does not show it: %s', (_name, make) => {
    expect(make).toThrow(TypeError)
    expect(make).not.toThrow(SECRET)
  })
})
