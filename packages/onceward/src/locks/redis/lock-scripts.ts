import { type RedisScript, redisScript } from '../../drivers/redis/index.ts'
import { ASK_LUA, RECORD_LUA } from './record-lua.ts'

/*
 * The rules of `lock-transitions.ts` in Lua, one script for each step. KEYS: the lock. ARGV begins with what every
 * channel begins with; a reply with the server's clock and, of a grant, the record. `FOREIGN` is answered for a key that
 * holds something else.
 */

/** ARGV: the record that is expected, then the request. */
const ACQUIRE = /* lua */ `
return step(function()
  look()
  prune()
  return ask(3)
end, ARGV[2])
`

/**
 * ARGV: the record that is expected; a moment on the server's clock that has passed; the token; the next request, if any.
 *
 * A caller who was granted the lock a moment ago knows what time it is at least, and that the lock has not lapsed. That
 * will do to give it back and to tell who is next; to grant it takes the clock.
 */
const RELEASE = /* lua */ `
local token, since = ARGV[4], tonumber(ARGV[3])
return step(function(quick)
  if quick and since then now = since else look() end
  prune()
  local held, at = indexOf(holders, token), indexOf(queue, token)
  if held then table.remove(holders, held) end
  if at then table.remove(queue, at) end
  local released = held and 1 or 0
  if not ARGV[5] then
    wakes = true
    return {released}, held or at
  end
  local reply = ask(5)
  wakes = true
  return {released, unpack(reply)}, true
end, ARGV[2])
`

/** KEYS: many locks. ARGV: token, ttl and, after a sign, what people see, of each. */
const EXTEND = /* lua */ `
local replies = {}
for i = 1, #KEYS do
  key = KEYS[i]
  local token, ttl, meta = ARGV[3 * i - 1], tonumber(ARGV[3 * i]), ARGV[3 * i + 1]
  local reply = step(function()
    look()
    prune()
    local held = indexOf(holders, token)
    if not held then return {0} end
    holders[held][5] = now + ttl
    if meta ~= '' then holders[held][7] = sub(meta, 2) end
    return {1}, true
  end, '')
  if refused(reply) then return reply end
  replies[i] = reply == 'FOREIGN' and 0 or reply[3]
end
return replies
`

/** ARGV: the token that has it and the one that gets it, ttl, owner, what people see after a sign. */
const TRANSFER = /* lua */ `
return step(function()
  look()
  prune()
  local held = indexOf(holders, ARGV[3]) or indexOf(holders, ARGV[2])
  if not held then return {0} end
  local was = holders[held]
  holders[held] = {ARGV[3], was[2], was[3], was[4], now + tonumber(ARGV[4]), ARGV[5], ARGV[6] ~= '' and sub(ARGV[6], 2)}
  return {1, was[2], tonumber(was[3])}, true
end, '')
`

/** ARGV: the fence that loses it or nothing, by whom, why, how many are remembered. */
const FORCE = /* lua */ `
local given, most = tonumber(ARGV[2]), tonumber(ARGV[5])
return step(function()
  look()
  prune()
  local stay, lost = {}, 0
  for i = 1, #holders do
    local first = tonumber(holders[i][3])
    if given and (given < first or given >= first + holders[i][4]) then
      stay[#stay + 1] = holders[i]
    else
      lost = lost + 1
      forced[#forced + 1] = {now, ARGV[3], ARGV[4], holders[i][3]}
    end
  end
  if lost == 0 then return {0} end
  while #forced > most do table.remove(forced, 1) end
  holders, wakes = stay, true
  return {lost}, true
end, '')
`

/** ARGV: the token, the mark, for how long. */
const MARK = /* lua */ `
return step(function()
  look()
  prune()
  if not indexOf(holders, ARGV[2]) then return {0} end
  mark = {ARGV[3], now + tonumber(ARGV[4])}
  return {1}, true
end, '')
`

/** Answers the record as it is, lapsed parts and all. */
const INSPECT = /* lua */ `
look()
local raw = try('GET', key)
if refused(raw) then return string.find(raw.err, 'WRONGTYPE', 1, true) and 'FOREIGN' or raw end
return {now, raw}
`

/** The script of each step. */
export interface LockScripts {
  readonly acquire: RedisScript
  readonly release: RedisScript
  readonly extend: RedisScript
  readonly transfer: RedisScript
  readonly force: RedisScript
  readonly mark: RedisScript
  readonly inspect: RedisScript
}

/** Makes the scripts. */
export function lockScripts(): LockScripts {
  const made = (...parts: readonly string[]) => redisScript([RECORD_LUA, ...parts].join(''))
  return {
    acquire: made(ASK_LUA, ACQUIRE),
    release: made(ASK_LUA, RELEASE),
    extend: made(EXTEND),
    transfer: made(TRANSFER),
    force: made(FORCE),
    mark: made(MARK),
    inspect: made(INSPECT),
  }
}
