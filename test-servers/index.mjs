// What each of these promises is written in index.d.mts.
export { describeWhere, describeWith } from './describe.mjs'
export { startEtcd } from './etcd.mjs'
export { faultProxy } from './fault-proxy.mjs'
export { startMariadb } from './mariadb.mjs'
export { startNats } from './nats.mjs'
export { startNginx } from './nginx.mjs'
export { startPgbouncer } from './pgbouncer.mjs'
export { freePort, waitForPort } from './ports.mjs'
export { startPostgres } from './postgres.mjs'
export { which } from './programs.mjs'
export { startRabbitmq } from './rabbitmq.mjs'
export { startRedis, startRedisReplica } from './redis.mjs'
export { startRedisCluster } from './redis-cluster.mjs'
export { startRedisSentinel } from './redis-sentinel.mjs'
export { ServerMissing } from './server-missing.mjs'
export {
  sharedMariadb,
  sharedMysql,
  sharedNats,
  sharedPostgres,
  sharedRabbitmq,
  sharedRedis,
} from './shared.mjs'
export { startZookeeper } from './zookeeper.mjs'
