import { type RedisScript, redisScript } from '../drivers/redis/index.ts'

/** How a marker begins, and what its first byte after that says. */
export const MAGIC = 'OW1'

/** Bytes of the digest that follows. */
export const DIGEST_BYTES = 16

/**
 * The one script by which guarded commands are executed.
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
 * forbids it while nothing has happened. What the script writes takes effect as one, also on replicas and on the disk.
 *
 * A tombstone makes a refusal final even if the server's clock is set back, or a late attempt was sent long ago.
 *
 * `KEYS`: the marker, then the keys of the commands. `ARGV`: what to do (`c` one command, `a` several, `s` settle; `w`
 * after it: write on a replay too, for `WAIT`), the deadline and until when an absent marker proves that nothing was
 * executed (both ms since the epoch, by the server's clock), retention in ms, digest, largest reply that is kept, number
 * of commands; then for each: number of words, how a large integer is read exactly (`i`, `h` or nothing), the words.
 */
export function guardScript(): RedisScript {
  return redisScript(TEXT)
}

const TEXT = `
local marker, mode, digest = KEYS[1], string.sub(ARGV[1], 1, 1), ARGV[5]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local deadline = tonumber(ARGV[2])
local seen = redis.pcall('GET', marker)
if type(seen) == 'table' then
  if string.find(seen.err, 'WRONGTYPE', 1, true) then return 'f' end
  return seen
end
if seen then
  if string.sub(seen, 1, 3) ~= '${MAGIC}' or #seen < 20 then return 'f' end
  local state = string.sub(seen, 4, 4)
  if state == 't' then
    if tonumber(string.sub(seen, 21)) >= deadline then return 'x' .. string.format('%.0f', now) end
  else
    if string.sub(seen, 5, 20) ~= digest then return 'k' end
    if string.sub(ARGV[1], 2, 2) == 'w' then
      local kept = redis.pcall('SET', marker, seen, 'KEEPTTL')
      if kept.err then return kept end
    end
    if state == 'd' then return 'r' .. string.sub(seen, 21) end
    return state
  end
end
if mode == 's' or now > deadline then
  if now > tonumber(ARGV[3]) then return '?' .. string.format('%.0f', now) end
  local set = redis.pcall('SET', marker, '${MAGIC}t' .. digest .. ARGV[2], 'PX', ARGV[4])
  if set.err and not (now > deadline and string.find(set.err, 'OOM', 1, true)) then return set end
  return 'x' .. string.format('%.0f', now)
end
local set = redis.pcall('SET', marker, '${MAGIC}p' .. digest, 'PX', ARGV[4])
if set.err then return set end

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

local told = true
local function exactly(value, how, at)
  if type(value) ~= 'number' or (value < 9007199254740992 and value > -9007199254740992) then return encode(value) end
  local text = false
  if how == 'i' then text = redis.pcall('GET', ARGV[at + 1]) end
  if how == 'h' then text = redis.pcall('HGET', ARGV[at + 1], ARGV[at + 2]) end
  if type(text) == 'string' then return ':' .. text .. '\\r\\n' end
  told = false
  return ''
end

local function run(at)
  local words, how = tonumber(ARGV[at]), ARGV[at + 1]
  local reply = redis.pcall(unpack(ARGV, at + 2, at + 1 + words))
  return reply, how, at + 2, at + 2 + words
end

local body
if mode == 'c' then
  local reply, how, at = run(8)
  local err = type(reply) == 'table' and reply.err
  if err and (string.find(err, '[Ww]rong number of args calling') or string.find(err, 'Unknown Redis command')
    or string.find(err, 'user executing the script') or string.find(err, '[Nn]o permissions? to')
    or string.find(err, 'ACL failure')) then
    redis.pcall('SET', marker, '${MAGIC}t' .. digest .. '0', 'PX', '1')
    return 'e' .. reply.err
  end
  body = exactly(reply, how, at)
else
  local parts, at = {}, 8
  for place = 1, tonumber(ARGV[7]) do
    local reply, how, first, next = run(at)
    parts[place] = exactly(reply, how, first)
    at = next
  end
  body = '*' .. #parts .. '\\r\\n' .. table.concat(parts)
end
if told and #body <= tonumber(ARGV[6]) then
  redis.pcall('SET', marker, '${MAGIC}d' .. digest .. body, 'PX', ARGV[4])
else
  redis.pcall('SET', marker, '${MAGIC}n' .. digest, 'PX', ARGV[4])
end
return told and 'd' .. body or 'n'
`
