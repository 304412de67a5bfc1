/**
 * Commands that the guarding script cannot execute: they wait, run code of the user, concern the whole server, or are
 * newer than the servers that the rest of the table was proven on. They are sent once. One a line: name, and where its
 * keys are; for those that wait, where the time is and in which unit (`last:s`).
 */
export const ONCE_COMMANDS = `
  BLMOVE 1,2 last:s
  BLMOVEM 1,2 last:s
  BLMPOP #2 1:s
  BLPOP 1..-2 last:s
  BRPOP 1..-2 last:s
  BRPOPLPUSH 1,2 last:s
  BZMPOP #2 1:s
  BZPOPMAX 1..-2 last:s
  BZPOPMIN 1..-2 last:s
  WAIT - 2:ms
  WAITAOF - 3:ms

  EVAL #2
  EVALSHA #2
  FCALL #2

  ARINSERT 1
  ARRING 1
  ARSEEK 1
  HIMPORT -
  INCREX 1
  LMOVEM 1,2
  XIDMPRECORD 1
  XNACK 1

  BACKUP -
  BGREWRITEAOF -
  BGSAVE -
  DEBUG -
  FAILOVER -
  FLUSHALL -
  FLUSHDB -
  HOTKEYS -
  MIGRATE 3
  PFDEBUG 2
  PFSELFTEST -
  REPLICAOF -
  RESTORE-ASKING 1
  SAVE -
  SHUTDOWN -
  SLAVEOF -
  SWAPDB -
  TRIMSLOTS -

  ACL|DELUSER -
  ACL|LOAD -
  ACL|LOG -
  ACL|SAVE -
  ACL|SETUSER -
  CLIENT|KILL -
  CLIENT|PAUSE -
  CLIENT|UNBLOCK -
  CLIENT|UNPAUSE -
  CLUSTER|ADDSLOTS -
  CLUSTER|ADDSLOTSRANGE -
  CLUSTER|BUMPEPOCH -
  CLUSTER|DELSLOTS -
  CLUSTER|DELSLOTSRANGE -
  CLUSTER|FAILOVER -
  CLUSTER|FLUSHSLOTS -
  CLUSTER|FORGET -
  CLUSTER|MEET -
  CLUSTER|MIGRATION -
  CLUSTER|REPLICATE -
  CLUSTER|RESET -
  CLUSTER|SAVECONFIG -
  CLUSTER|SET-CONFIG-EPOCH -
  CLUSTER|SETSLOT -
  CONFIG|RESETSTAT -
  CONFIG|REWRITE -
  CONFIG|SET -
  FUNCTION|DELETE -
  FUNCTION|FLUSH -
  FUNCTION|KILL -
  FUNCTION|LOAD -
  FUNCTION|RESTORE -
  LATENCY|RESET -
  MEMORY|PURGE -
  MODULE|LOAD -
  MODULE|LOADEX -
  MODULE|UNLOAD -
  SCRIPT|FLUSH -
  SCRIPT|KILL -
  SCRIPT|LOAD -
  SLOWLOG|RESET -
`

/**
 * Commands that change what the connection is. On a connection that others use too they would do harm, and after a
 * reconnection be forgotten: they are refused.
 */
export const CONNECTION_COMMANDS = `
  ASKING -
  AUTH -
  DISCARD -
  EXEC -
  HELLO -
  MONITOR -
  MULTI -
  PSUBSCRIBE -
  PSYNC -
  PUNSUBSCRIBE -
  QUIT -
  READONLY -
  READWRITE -
  REPLCONF -
  RESET -
  SELECT -
  SSUBSCRIBE 1..-1
  SUBSCRIBE -
  SUNSUBSCRIBE 1..-1
  SYNC -
  UNSUBSCRIBE -
  UNWATCH -
  WATCH 1..-1

  CLIENT|CACHING -
  CLIENT|NO-EVICT -
  CLIENT|NO-TOUCH -
  CLIENT|REPLY -
  CLIENT|SETINFO -
  CLIENT|SETNAME -
  CLIENT|TRACKING -

  SCRIPT|DEBUG -
`
