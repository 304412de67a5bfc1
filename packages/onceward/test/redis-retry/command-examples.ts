/**
 * An example of each command that the table classifies by what it does: what was there before, then the command itself.
 * `A`, `B` and `C` stand for keys. One a line: `setup; setup > command`.
 */
export const WRITE_EXAMPLES = `
  SET A 1 > APPEND A x
  SET A 1 > BITFIELD A SET u8 0 200 INCRBY u8 8 3
  SET A a; SET B b > BITOP AND C A B
  SET A a > COPY A B
  SET A 5 > DECR A
  SET A 5 > DECRBY A 2
  SET A 5; SET B 6 > DEL A B
  SET A 5 > EXPIRE A 100
  SET A 5 > EXPIREAT A 4102444800
  > GEOADD A 13.361389 38.115556 Palermo 15.087269 37.502669 Catania
  GEOADD A 13.361389 38.115556 Palermo 15.087269 37.502669 Catania > GEORADIUS A 15 37 200 km STORE B
  GEOADD A 13.361389 38.115556 Palermo 15.087269 37.502669 Catania > GEORADIUSBYMEMBER A Palermo 200 km STOREDIST B
  GEOADD A 13.361389 38.115556 Palermo 15.087269 37.502669 Catania > GEOSEARCHSTORE B A FROMLONLAT 15 37 BYRADIUS 200 km
  SET A 5 > GETDEL A
  SET A 5 > GETEX A EX 100
  SET A 5 > GETSET A 6
  HSET A f 1 g 2 > HDEL A f
  HSET A f 1 > HINCRBY A f 2
  HSET A f 1 > HINCRBYFLOAT A f 2.5
  > HMSET A f 1 g 2
  > HSET A f 1 g 2
  > HSETNX A f 1
  SET A 5 > INCR A
  SET A 5 > INCRBY A 3
  SET A 5 > INCRBYFLOAT A 0.25
  RPUSH A a b > LINSERT A BEFORE b x
  RPUSH A a b > LMOVE A B LEFT RIGHT
  RPUSH A a b c > LMPOP 1 A LEFT COUNT 1
  RPUSH A a b c > LPOP A
  > LPUSH A a b
  RPUSH A a > LPUSHX A b
  RPUSH A a a a > LREM A 1 a
  RPUSH A a b > LSET A 1 x
  RPUSH A a b c d > LTRIM A 1 -1
  > MSET A 1 B 2
  > MSETNX A 1 B 2
  SET A 5 EX 100 > PERSIST A
  SET A 5 > PEXPIRE A 100000
  SET A 5 > PEXPIREAT A 4102444800000
  > PFADD A x y
  PFADD A x; PFADD B y > PFMERGE C A B
  > PSETEX A 100000 v
  > PUBLISH A hello
  SET A 5 > RENAME A B
  SET A 5 > RENAMENX A B
  SET A 5 > MOVE A 9
  RPUSH A a b c > RPOP A
  RPUSH A a b c > RPOPLPUSH A B
  > RPUSH A a b
  RPUSH A a > RPUSHX A b
  > SADD A a b
  SADD A a b; SADD B b > SDIFFSTORE C A B
  > SET A v
  > SETBIT A 7 1
  > SETEX A 100 v
  > SETNX A v
  SET A hello > SETRANGE A 1 xx
  SADD A a b; SADD B b > SINTERSTORE C A B
  SADD A a b > SMOVE A B a
  RPUSH A 3 1 2 > SORT A STORE B
  SADD A a b c d > SPOP A 2
  > SPUBLISH A hello
  SADD A a b > SREM A a
  SADD A a; SADD B b > SUNIONSTORE C A B
  SET A 5 > UNLINK A
  XADD A 1-1 f v; XGROUP CREATE A g 0; XREADGROUP GROUP g c STREAMS A > > XACK A g 1-1
  > XADD A * f v
  XADD A 1-1 f v; XGROUP CREATE A g 0; XREADGROUP GROUP g c STREAMS A > > XAUTOCLAIM A g d 0 0
  XADD A 1-1 f v; XGROUP CREATE A g 0; XREADGROUP GROUP g c STREAMS A > > XCLAIM A g d 0 1-1
  XADD A 1-1 f v; XADD A 1-2 f v > XDEL A 1-1
  XADD A 1-1 f v; XADD A 2-1 f v; XGROUP CREATE A g 0 > XREADGROUP GROUP g c COUNT 1 STREAMS A >
  XADD A 1-1 f v > XSETID A 5-0
  XADD A 1-1 f v; XADD A 1-2 f v > XTRIM A MAXLEN 1
  XADD A 1-1 f v > XGROUP CREATE A g 0
  XADD A 1-1 f v; XGROUP CREATE A g 0 > XGROUP CREATECONSUMER A g c
  XADD A 1-1 f v; XGROUP CREATE A g 0; XREADGROUP GROUP g c STREAMS A > > XGROUP DELCONSUMER A g c
  XADD A 1-1 f v; XGROUP CREATE A g 0 > XGROUP DESTROY A g
  XADD A 1-1 f v; XGROUP CREATE A g 0 > XGROUP SETID A g 1-1
  > ZADD A 1 a 2.5 b
  ZADD A 1 a 2 b; ZADD B 1 b > ZDIFFSTORE C 2 A B
  ZADD A 1.5 a > ZINCRBY A 2 a
  ZADD A 1 a 2 b; ZADD B 1 b > ZINTERSTORE C 2 A B
  ZADD A 1.5 a 2 b 3 c > ZMPOP 1 A MIN COUNT 2
  ZADD A 1.5 a 2 b 3 c > ZPOPMAX A
  ZADD A 1.5 a 2 b 3 c > ZPOPMIN A
  ZADD A 1 a 2 b 3 c > ZRANGESTORE B A 0 1
  ZADD A 1 a 2 b > ZREM A a
  ZADD A 0 a 0 b > ZREMRANGEBYLEX A [a [a
  ZADD A 1 a 2 b 3 c > ZREMRANGEBYRANK A 0 0
  ZADD A 1 a 2 b > ZREMRANGEBYSCORE A 1 1
  ZADD A 1 a; ZADD B 2 b > ZUNIONSTORE C 2 A B
`

/** More forms of the same, for the replies they make. */
export const MORE_FORMS = `
  SET A 1 > SET A 2 GET
  SET A 1 > SET A 2 NX
  > SET A 2 XX
  SET A 9007199254740993 > INCRBY A 2
  SET A -9007199254740993 > DECR A
  HSET A f 9223372036854775806 > HINCRBY A f 1
  SET A 9223372036854775807 > INCR A
  SET A v > INCR A
  RPUSH A a > INCR A
  > INCR
  > LPOP A
  > LPOP A 2
  RPUSH A a b c > LPOP A 2
  > LMPOP 1 A LEFT
  > ZPOPMIN A
  > ZPOPMIN A 3
  ZADD A 1.5 a 2 b inf c > ZPOPMIN A 3
  ZADD A 1.5 a 2 b -inf c > ZPOPMAX A 3
  > ZMPOP 1 A MIN
  ZADD A 1 a > ZADD A INCR 2.5 a
  ZADD A 1 a > ZADD A NX INCR 2.5 a
  ZADD A inf a > ZINCRBY A 1 a
  SADD A a > SPOP A
  > SPOP A
  > SPOP A 2
  > GETDEL A
  > GETSET A v
  > XREADGROUP GROUP g c STREAMS A >
  XADD A 1-1 f v; XGROUP CREATE A streams 0 > XREADGROUP GROUP streams block STREAMS A >
  > XREAD COUNT 1 STREAMS block 0
  XGROUP CREATE A g 0 MKSTREAM > XREADGROUP GROUP g c STREAMS A >
  XADD A 1-1 f v; XADD B 1-1 f v; XGROUP CREATE A g 0; XGROUP CREATE B g 0 > XREADGROUP GROUP g c STREAMS A B > >
  XADD A 1-1 f v; XGROUP CREATE A g 0; XREADGROUP GROUP g c STREAMS A >; XDEL A 1-1 > XREADGROUP GROUP g c STREAMS A 0
  XADD A 1-1 f v; XGROUP CREATE A g 0; XREADGROUP GROUP g c STREAMS A > > XCLAIM A g d 0 1-1 JUSTID
  SET A 1 > BITFIELD A OVERFLOW FAIL INCRBY u2 0 3 GET u4 0
  SET A abc > SORT A
  RPUSH A 3 1 2 > SORT A
  GEOADD A 13.361389 38.115556 Palermo > GEORADIUS A 15 37 300 km WITHDIST WITHCOORD
  GEOADD A 13.361389 38.115556 Palermo > GEORADIUSBYMEMBER A Palermo 300 km WITHDIST
  SET A 5 > COPY A B REPLACE
  > RENAME A B
  RPUSH A a > LSET A 5 x
  > XADD A NOMKSTREAM * f v
  > EXPIRE A 5
`

/** Reads of keys. They have to change nothing. */
export const READ_EXAMPLES = `
  SET A a > BITCOUNT A
  SET A a > BITFIELD_RO A GET u8 0
  SET A a > BITPOS A 1
  SET A a > DUMP A
  > EVAL_RO return(1) 1 A
  SET A 1 > EXISTS A B
  SET A 1 EXAT 4102444800 > EXPIRETIME A
  GEOADD A 13.361389 38.115556 Palermo > GEODIST A Palermo Palermo
  GEOADD A 13.361389 38.115556 Palermo > GEOHASH A Palermo
  GEOADD A 13.361389 38.115556 Palermo > GEOPOS A Palermo Nowhere
  GEOADD A 13.361389 38.115556 Palermo > GEOSEARCH A FROMLONLAT 15 37 BYRADIUS 300 km WITHCOORD WITHHASH
  GEOADD A 13.361389 38.115556 Palermo > GEORADIUS_RO A 15 37 300 km
  GEOADD A 13.361389 38.115556 Palermo > GEORADIUSBYMEMBER_RO A Palermo 300 km
  GEOADD A 13.361389 38.115556 Palermo > GEOSEARCH A FROMLONLAT 15 37 BYRADIUS 300 km
  SET A 1 > GET A
  SET A 1 > GETBIT A 1
  SET A abc > GETRANGE A 0 1
  HSET A f v > HEXISTS A f
  HSET A f v > HGET A f
  HSET A f v > HGETALL A
  HSET A f v > HKEYS A
  HSET A f v > HLEN A
  HSET A f v > HMGET A f g
  HSET A f v > HRANDFIELD A
  HSET A f v > HRANDFIELD A 2 WITHVALUES
  HSET A f v > HSCAN A 0
  HSET A f v > HSTRLEN A f
  HSET A f v > HVALS A
  SET A abc; SET B bcd > LCS A B
  RPUSH A a > LINDEX A 0
  RPUSH A a > LLEN A
  RPUSH A a > LPOS A a
  RPUSH A a > LRANGE A 0 -1
  SET A 1 > MGET A B
  SET A 1 > MEMORY USAGE A
  SET A 1 > OBJECT ENCODING A
  SET A 1 > OBJECT IDLETIME A
  SET A 1 > OBJECT REFCOUNT A
  SET A 1 EXAT 4102444800 > PEXPIRETIME A
  PFADD A a > PFCOUNT A B
  SET A 1 > PTTL A
  SADD A a > SCARD A
  SADD A a > SDIFF A B
  SADD A a > SINTER A B
  SADD A a > SINTERCARD 2 A B
  SADD A a > SISMEMBER A a
  SADD A a > SMEMBERS A
  SADD A a > SMISMEMBER A a b
  RPUSH A 2 1 > SORT_RO A
  SADD A a > SRANDMEMBER A
  SADD A a > SSCAN A 0
  SET A abc > STRLEN A
  SET A abc > SUBSTR A 0 1
  SADD A a > SUNION A B
  SET A 1 > TOUCH A B
  SET A 1 > TTL A
  SET A 1 > TYPE A
  XADD A 1-1 f v > XLEN A
  XADD A 1-1 f v; XGROUP CREATE A g 0 > XPENDING A g
  XADD A 1-1 f v > XRANGE A - +
  XADD A 1-1 f v; XADD B 1-1 f v > XREAD COUNT 1 STREAMS A B 0 0
  XADD A 1-1 f v > XREVRANGE A + -
  XADD A 1-1 f v; XGROUP CREATE A g 0 > XINFO CONSUMERS A g
  XADD A 1-1 f v; XGROUP CREATE A g 0 > XINFO GROUPS A
  XADD A 1-1 f v > XINFO STREAM A
  ZADD A 1 a > ZCARD A
  ZADD A 1 a > ZCOUNT A 0 5
  ZADD A 1 a > ZDIFF 2 A B
  ZADD A 1 a > ZINTER 2 A B
  ZADD A 1 a > ZINTERCARD 2 A B
  ZADD A 1 a > ZLEXCOUNT A - +
  ZADD A 1 a > ZMSCORE A a b
  ZADD A 1 a > ZRANDMEMBER A
  ZADD A 1 a > ZRANDMEMBER A 2 WITHSCORES
  ZADD A 1 a > ZRANGE A 0 -1 WITHSCORES
  ZADD A 1 a > ZRANGE A 0 -1
  ZADD A 0 a > ZRANGEBYLEX A - +
  ZADD A 1 a > ZRANGEBYSCORE A 0 5
  ZADD A 1.5 a > ZREVRANGEBYSCORE A 5 0 WITHSCORES
  ZADD A 1 a > ZRANK A a
  ZADD A 1 a > ZREVRANGE A 0 -1
  ZADD A 0 a > ZREVRANGEBYLEX A + -
  ZADD A 1 a > ZREVRANGEBYSCORE A 5 0
  ZADD A 1 a > ZREVRANK A a
  ZADD A 1 a > ZSCAN A 0
  ZADD A 1 a > ZSCORE A a
  ZADD A 1 a > ZUNION 2 A B WITHSCORES
`

/** An example as commands. */
export interface Example {
  readonly line: string
  /** Commands for keys that begin with `prefix`. */
  commands(prefix: string): { readonly setup: readonly string[][]; readonly command: string[] }
}

/** Reads examples. */
export function examplesOf(text: string): readonly Example[] {
  return text
    .trim()
    .split('\n')
    .map((given) => {
      const line = given.trim()
      // A `>` of its own before the command parts; one behind it belongs to XREADGROUP.
      const at = line.startsWith('> ') ? 0 : line.search(/ > (?=[A-Z_]+\b[^;]*$)/)
      const [before, command] = at === 0 ? ['', line.slice(2)] : [line.slice(0, at), line.slice(at + 3)]
      return {
        line,
        commands(prefix) {
          const words = (part: string) =>
            part
              .trim()
              .split(' ')
              .map((word, place) => (place > 0 && /^[ABC]$/.test(word) ? `${prefix}${word}` : word))
          return {
            setup: before
              .split(';')
              .filter((part) => part.trim() !== '')
              .map(words),
            command: words(command),
          }
        },
      }
    })
}
