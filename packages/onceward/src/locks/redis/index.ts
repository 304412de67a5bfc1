export type { RedisClient, RedisConnection, ReplicaWait } from '../../drivers/redis/index.ts'
export { type RedisLocks, redisLocks } from './redis-locks.ts'
export type { RedisLocksOptions } from './redis-locks-options.ts'
