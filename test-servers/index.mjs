// What each of these promises is written in index.d.mts.
export { describeWhere, describeWith } from './describe.mjs'
export { startMariadb } from './mariadb.mjs'
export { freePort, waitForPort } from './ports.mjs'
export { startPostgres } from './postgres.mjs'
export { which } from './programs.mjs'
export { startRedis, startRedisReplica } from './redis.mjs'
export { ServerMissing } from './server-missing.mjs'
export { sharedMariadb, sharedMysql, sharedPostgres, sharedRedis } from './shared.mjs'
