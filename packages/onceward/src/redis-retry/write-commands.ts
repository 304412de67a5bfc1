/**
 * Commands that change something and can be executed by the guarding script, by what a second execution does. One a
 * line: name, where its keys are (see `command-table.ts`), and how RESP 3 shapes its reply (see `resp3-shapes.ts`).
 *
 * The class is that of the plain form. Options can make it worse; where that matters, `repeatsAsIt` looks at them.
 */

/** A second execution leaves the same state and answers the same. */
export const SAME_COMMANDS = `
  BITOP 2..-1
  EXPIREAT 1
  GEORADIUS sort places
  GEORADIUSBYMEMBER sort places
  GEOSEARCHSTORE 1,2
  HMSET 1
  LSET 1
  MSET 1..-1/2
  PEXPIREAT 1
  PFMERGE 1..-1
  SDIFFSTORE 1..-1
  SET 1
  SETRANGE 1
  SINTERSTORE 1..-1
  SORT sort
  SUNIONSTORE 1..-1
  XCFGSET 1
  XSETID 1
  ZDIFFSTORE 1+#2
  ZINTERSTORE 1+#2
  ZRANGESTORE 1,2
  ZUNIONSTORE 1+#2

  XGROUP|SETID 2
`

/** A second execution leaves the same state and answers something else: how many, whether it was new. */
export const OTHER_REPLY_COMMANDS = `
  ARDEL 1
  ARDELRANGE 1
  ARMSET 1
  ARSET 1
  COPY 1,2
  DEL 1..-1
  DELEX 1
  GEOADD 1
  GETDEL 1
  GETSET 1
  HDEL 1
  HEXPIREAT 1
  HGETDEL 1
  HPERSIST 1
  HPEXPIREAT 1
  HSET 1
  HSETNX 1
  MOVE 1
  MSETNX 1..-1/2
  PERSIST 1
  PFADD 1
  RENAME 1,2
  RENAMENX 1,2
  SADD 1
  SETBIT 1
  SETNX 1
  SMOVE 1,2
  SREM 1
  UNLINK 1..-1
  VADD 1
  VREM 1
  VSETATTR 1
  XACK 1
  XACKDEL 1
  XDEL 1
  XDELEX 1
  XTRIM 1
  ZADD 1 score
  ZREM 1
  ZREMRANGEBYLEX 1
  ZREMRANGEBYSCORE 1

  XGROUP|CREATE 2
  XGROUP|CREATECONSUMER 2
  XGROUP|DELCONSUMER 2
  XGROUP|DESTROY 2
`

/** A second execution changes the state again; also where only a time to live is counted from it. */
export const UNREPEATABLE_COMMANDS = `
  APPEND 1
  BITFIELD 1
  DECR 1
  DECRBY 1
  EXPIRE 1
  GETEX 1
  HEXPIRE 1
  HGETEX 1
  HINCRBY 1
  HINCRBYFLOAT 1
  HPEXPIRE 1
  HSETEX 1
  INCR 1
  INCRBY 1
  INCRBYFLOAT 1
  LINSERT 1
  LMOVE 1,2
  LMPOP #1
  LPOP 1
  LPUSH 1
  LPUSHX 1
  LREM 1
  LTRIM 1
  MSETEX #1/2
  PEXPIRE 1
  PSETEX 1
  PUBLISH -
  RESTORE 1
  RPOP 1
  RPOPLPUSH 1,2
  RPUSH 1
  RPUSHX 1
  SETEX 1
  SPOP 1
  SPUBLISH 1
  XADD 1
  XAUTOCLAIM 1
  XCLAIM 1
  XREADGROUP streams streams
  ZINCRBY 1 score
  ZMPOP #1 from
  ZPOPMAX 1 popped
  ZPOPMIN 1 popped
  ZREMRANGEBYRANK 1
`
