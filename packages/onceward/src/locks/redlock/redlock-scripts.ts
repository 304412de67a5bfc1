import { type RedisScript, redisScript } from '../../drivers/redis/index.ts'

/**
 * What one server remembers of a key, as one string, and how it is read and written. KEYS: the key, or many of them.
 *
 * ```
 *  R1[holder, forced]
 *  holder  ["<token>", "<attempt>", until, "<owner>", "<meta>" or false] or false
 *  forced  [at, "<by>", "<reason>", "<id of this forced release on all servers>"]
 * ```
 *
 * An attempt is one try of a token to be granted the key. Who cleans up after a try that failed names it, so that a later
 * try of the same token is left alone.
 */
const RECORD = /* lua */ `
local call, try, sub, max = redis.call, redis.pcall, string.sub, math.max
local FORCED_KEPT = 604800000
local key = KEYS[1]
local holder, forced, problem
local clock = call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local function parse(raw)
  local list = cjson.decode(sub(raw, 3))
  holder, forced = list[1], list[2]
  return #forced + (holder and holder[3] or 0)
end

local function load()
  holder, forced = false, {}
  local raw = try('GET', key)
  if type(raw) == 'table' then
    problem = string.find(raw.err, 'WRONGTYPE', 1, true) and 'FOREIGN' or raw
    return false
  end
  if raw and not (sub(raw, 1, 2) == 'R1' and pcall(parse, raw)) then
    problem = 'FOREIGN'
    return false
  end
  if holder and holder[3] <= now then holder = false end
  while #forced > 0 and forced[1][1] <= now - FORCED_KEPT do table.remove(forced, 1) end
  return true
end

local function save()
  if not holder and #forced == 0 then return call('UNLINK', key) end
  local last = holder and holder[3] or now
  if #forced > 0 then last = max(last, forced[#forced][1] + FORCED_KEPT) end
  call('SET', key, 'R1' .. cjson.encode({holder, forced}), 'PX', string.format('%.0f', last - now))
end
`

/** ARGV: token, attempt, ttl, owner, what people see after a sign. */
const ACQUIRE = /* lua */ `
if not load() then return problem end
if holder and holder[1] ~= ARGV[1] then return {0, holder[3] - now, redis.sha1hex(holder[1])} end
holder = {ARGV[1], ARGV[2], now + tonumber(ARGV[3]), ARGV[4], ARGV[5] ~= '' and sub(ARGV[5], 2)}
save()
return {1}
`

/** ARGV: token, attempt or nothing. */
const RELEASE = /* lua */ `
if not load() then return problem end
if not holder or holder[1] ~= ARGV[1] or (ARGV[2] ~= '' and holder[2] ~= ARGV[2]) then return {0} end
holder = false
save()
return {1}
`

/** KEYS: many. ARGV: token, ttl and, after a sign, what people see, of each. */
const EXTEND = /* lua */ `
local replies = {}
for i = 1, #KEYS do
  key = KEYS[i]
  local token, ttl, meta = ARGV[3 * i - 2], tonumber(ARGV[3 * i - 1]), ARGV[3 * i]
  replies[i] = 0
  if not load() then
    if problem ~= 'FOREIGN' then return problem end
  elseif holder and holder[1] == token then
    holder[3] = now + ttl
    if meta ~= '' then holder[5] = sub(meta, 2) end
    save()
    replies[i] = 1
  end
end
return replies
`

/** ARGV: the token that has it and the one that gets it, attempt, ttl, owner, what people see after a sign. */
const TRANSFER = /* lua */ `
if not load() then return problem end
if not holder or (holder[1] ~= ARGV[1] and holder[1] ~= ARGV[2]) then return {0} end
holder = {ARGV[2], ARGV[3], now + tonumber(ARGV[4]), ARGV[5], ARGV[6] ~= '' and sub(ARGV[6], 2)}
save()
return {1}
`

/** ARGV: by whom, why, the id, how many are remembered. */
const FORCE = /* lua */ `
if not load() then return problem end
if not holder then return {0} end
holder = false
forced[#forced + 1] = {now, ARGV[1], ARGV[2], ARGV[3]}
while #forced > tonumber(ARGV[4]) do table.remove(forced, 1) end
save()
return {1}
`

/** Answers the holder with what remains of its time, and the forced releases, as JSON. */
const INSPECT = /* lua */ `
if not load() then return problem end
if holder then holder[3] = holder[3] - now end
return {cjson.encode({holder, forced})}
`

/** The script of each step on one server. */
export interface RedlockScripts {
  readonly acquire: RedisScript
  readonly release: RedisScript
  readonly extend: RedisScript
  readonly transfer: RedisScript
  readonly force: RedisScript
  readonly inspect: RedisScript
}

/** Makes the scripts. */
export function redlockScripts(): RedlockScripts {
  const made = (body: string) => redisScript(RECORD + body)
  return {
    acquire: made(ACQUIRE),
    release: made(RELEASE),
    extend: made(EXTEND),
    transfer: made(TRANSFER),
    force: made(FORCE),
    inspect: made(INSPECT),
  }
}
