export { inspectClient } from './client-options.ts'
export type {
  CommandArgument,
  CommandLine,
  ExecOptions,
  RedisValue,
  SafeRedis,
  SafeRedisEvent,
  SafeRedisOptions,
  SafeRedisStats,
} from './retry-types.ts'
export { safeRedis } from './safe-redis.ts'
