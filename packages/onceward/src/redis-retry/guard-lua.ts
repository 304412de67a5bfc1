import { type RedisScript, redisScript } from '../drivers/redis/index.ts'

/** How a marker begins, and what its first byte after that says. */
export const MAGIC = 'OW1'

/** Bytes of the digest that follows. */
export const DIGEST_BYTES = 16

/**
 * The one script by which guarded operations are executed: several of them in one call, each by itself.
 *
 * ```
 *   marker      what it means                                   what the script answers
 *   (none)      not executed                                    before the deadline: executes, `d`; after it: tombstone, `x`
 *   p           begun and never ended (no script leaves that)   `p`
 *   d + reply   executed                                        `r` + reply
 *   n           executed, the reply was too large to keep       `n`
 *   t + time    refused to all with a deadline up to this time  `x`, or as (none) for a later deadline
 *   other value not ours                                        `f`
 *   other digest                                                `k`
 * ```
 *
 * The placeholder is written before the effect, so that whatever forbids writing (memory, a replica, permissions)
 * forbids it while nothing has happened: `E` + the error. A command that may not be run in scripts is answered `e` + the
 * error. What the script writes takes effect as one, also on replicas and on the disk.
 *
 * A tombstone makes a refusal final even if the server's clock is set back, or a late attempt was sent long ago.
 *
 * `KEYS`: markers, each followed by the keys of its commands. `ARGV`: how many operations, the largest reply that is
 * kept; then for each operation: what to do (`c` one command, `a` several, `s` settle; `w` after it: write on a replay
 * too, for `WAIT`), how many `KEYS` it has, its deadline and until when an absent marker proves that nothing was executed
 * (both ms since the epoch, by the server's clock), retention in ms, digest, number of commands; then for each command:
 * number of words, how a large integer is read exactly (`i`, `h` or nothing), the words.
 */
export function guardScript(): RedisScript {
  return redisScript(TEXT)
}

const TEXT = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local largest = tonumber(ARGV[2])

local function encode(value)
  local kind = type(value)
  if kind == 'string' then return '$' .. #value .. '\\r\\n' .. value .. '\\r\\n' end
  if kind == 'number' then return ':' .. string.format('%.0f', value) .. '\\r\\n' end
  if kind ~= 'table' then return '_\\r\\n' end
  if value.ok then return '+' .. value.ok .. '\\r\\n' end
  if value.err then return '-' .. value.err .. '\\r\\n' end
  local parts = {}
  for place = 1, #value do parts[place] = encode(value[place]) end
  return '*' .. #value .. '\\r\\n' .. table.concat(parts)
end

local function exactly(value, how, at)
  if type(value) ~= 'number' or (value < 9007199254740992 and value > -9007199254740992) then return encode(value) end
  local text = false
  if how == 'i' then text = redis.pcall('GET', ARGV[at + 1]) end
  if how == 'h' then text = redis.pcall('HGET', ARGV[at + 1], ARGV[at + 2]) end
  return type(text) == 'string' and ':' .. text .. '\\r\\n'
end

local function forbidden(reply)
  local err = type(reply) == 'table' and reply.err
  return err and (string.find(err, '[Ww]rong number of args calling') or string.find(err, 'Unknown Redis command')
    or string.find(err, 'user executing the script') or string.find(err, '[Nn]o permissions? to')
    or string.find(err, 'ACL failure')) and err
end

local function operate(marker, at)
  local doing, deadline, retention, digest = ARGV[at], tonumber(ARGV[at + 2]), ARGV[at + 4], ARGV[at + 5]
  local mode = string.sub(doing, 1, 1)
  local fresh, err = false, false
  if mode ~= 's' and now <= deadline then
    local set = redis.pcall('SET', marker, '${MAGIC}p' .. digest, 'NX', 'PX', retention)
    if type(set) == 'table' then fresh, err = set.ok, set.err end
  end
  if not fresh then
    local seen = redis.pcall('GET', marker)
    if type(seen) == 'table' then
      if string.find(seen.err, 'WRONGTYPE', 1, true) then return 'f' end
      return 'E' .. seen.err
    end
    if seen then
      if string.sub(seen, 1, 3) ~= '${MAGIC}' or #seen < 20 then return 'f' end
      local state = string.sub(seen, 4, 4)
      if state ~= 't' then
        if string.sub(seen, 5, 20) ~= digest then return 'k' end
        if string.sub(doing, 2, 2) == 'w' then
          local kept = redis.pcall('SET', marker, seen, 'KEEPTTL')
          if kept.err then return 'E' .. kept.err end
        end
        if state == 'd' then return 'r' .. string.sub(seen, 21) end
        return state
      end
      if tonumber(string.sub(seen, 21)) >= deadline then return 'x' .. string.format('%.0f', now) end
    end
    if err then return 'E' .. err end
    if mode == 's' or now > deadline then
      if now > tonumber(ARGV[at + 3]) then return '?' .. string.format('%.0f', now) end
      local set = redis.pcall('SET', marker, '${MAGIC}t' .. digest .. ARGV[at + 2], 'PX', retention)
      if set.err and not (now > deadline and string.find(set.err, 'OOM', 1, true)) then return 'E' .. set.err end
      return 'x' .. string.format('%.0f', now)
    end
    local set = redis.pcall('SET', marker, '${MAGIC}p' .. digest, 'PX', retention)
    if set.err then return 'E' .. set.err end
  end
  local body
  if mode == 'c' then
    local first = at + 9
    local reply = redis.pcall(unpack(ARGV, first, first + ARGV[at + 7] - 1))
    local denied = forbidden(reply)
    if denied then
      redis.pcall('SET', marker, '${MAGIC}t' .. digest .. '0', 'PX', '1')
      return 'e' .. denied
    end
    body = exactly(reply, ARGV[at + 8], first)
  else
    local parts = {}
    local first = at + 7
    for place = 1, tonumber(ARGV[at + 6]) do
      local words = tonumber(ARGV[first])
      local reply = redis.pcall(unpack(ARGV, first + 2, first + 1 + words))
      parts[place] = exactly(reply, ARGV[first + 1], first + 2)
      first = first + 2 + words
    end
    body = true
    for place = 1, #parts do body = body and parts[place] end
    body = body and '*' .. #parts .. '\\r\\n' .. table.concat(parts)
  end
  if body and #body <= largest then
    redis.pcall('SET', marker, '${MAGIC}d' .. digest .. body, 'KEEPTTL')
  else
    redis.pcall('SET', marker, '${MAGIC}n' .. digest, 'KEEPTTL')
  end
  return body and 'd' .. body or 'n'
end

local answers, key, at = {}, 1, 3
for place = 1, tonumber(ARGV[1]) do
  local answer = operate(KEYS[key], at)
  -- A replica writes nothing of all this. Told as an error, it makes clients look for the primary.
  if string.find(answer, '^E%-?READONLY') then return redis.error_reply((string.gsub(answer, '^E%-?', ''))) end
  answers[place] = answer
  key = key + ARGV[at + 1]
  local first = at + 7
  for command = 1, tonumber(ARGV[at + 6]) do first = first + 2 + ARGV[first] end
  at = first
end
return answers
`
