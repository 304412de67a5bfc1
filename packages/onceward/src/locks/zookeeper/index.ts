export type { ZookeeperClient, ZookeeperTransaction } from './zookeeper-client.ts'
export { type ZookeeperLocksOptions, zookeeperLocks } from './zookeeper-locks.ts'
