export type { ShardStore } from './shard.ts'
export { type ShardedStore, type ShardedStoreOptions, type Shards, shardedStore } from './sharded-store.ts'
