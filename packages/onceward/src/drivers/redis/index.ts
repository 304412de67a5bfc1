export { slotOf } from './key-slot.ts'
export {
  type RedisCallOptions,
  type RedisConnection,
  type RedisConnectionOptions,
  type ReplicaWait,
  redisConnection,
} from './redis-connection.ts'
export { failure, type RedisWhere, redisFailure, replyFailure, replyWord } from './redis-errors.ts'
export type { RedisClient } from './redis-handle.ts'
export type { RedisArgument, RedisClientKind, RedisReply, RedisTopology } from './redis-link.ts'
export { type RedisScript, redisScript } from './redis-script.ts'
export type { ChannelListener } from './redis-subscriber.ts'
