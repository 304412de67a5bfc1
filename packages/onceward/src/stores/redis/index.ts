export type { RedisClient, RedisConnection, ReplicaWait } from '../../drivers/redis/index.ts'
export { type RedisStore, redisStore } from './redis-store.ts'
export type { RedisStoreOptions } from './redis-store-options.ts'
