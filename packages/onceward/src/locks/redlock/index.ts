export type { RedisClient } from '../../drivers/redis/index.ts'
export { redlock } from './redlock.ts'
export type { RedlockOptions } from './redlock-options.ts'
