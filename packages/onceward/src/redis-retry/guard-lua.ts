import { type RedisScript, redisScript } from '../drivers/redis/index.ts'

/** How a marker begins, and what its first byte after that says. */
export const MAGIC = 'OW1'

/** Bytes of the digest that follows where the operation has a name. */
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
 * `KEYS`: markers, each followed by the keys of its commands. `ARGV`: for each operation its head (see
 * {@link operationHead}) and its words; for several commands each with the number of its words and how its reply is read
 * before it. Heads are of fixed width: the server takes arguments slower than it cuts them. One operation alone is
 * answered as text, several as a list.
 */
export function guardScript(): RedisScript {
  return redisScript(TEXT)
}

/** On what terms an attempt is made. */
export interface AttemptTerms {
  /** Whether to write on a replay too, so that `WAIT` speaks of it. */
  readonly touch: boolean
  /** Until when it may be executed, in ms since the epoch on the server's clock. */
  readonly deadline: number
  /** Until when an absent marker proves that nothing was executed, on the same clock. */
  readonly proofUntil: number
  readonly retentionMs: number
  /** The largest reply that is kept, by {@link largestReply}. */
  readonly largest: string
}

/** The largest reply that is kept, in bytes, as heads have it. */
export function largestReply(maxReplyBytes: number): string {
  return fixed(maxReplyBytes, 10)
}

/**
 * The head of an operation.
 *
 * @param doing - Execute one command, or several, or settle: tell what was executed, or make sure that nothing will be.
 * @param exactly - Of one command: how a large integer is read exactly, by `GET` or `HGET`.
 * @param keys - How many there are, the marker included.
 * @param count - Words of the one command, or how many commands there are.
 * @param digest - Of {@link DIGEST_BYTES}; nothing for what nobody else can name, which spares its marker that much.
 */
export function operationHead(
  doing: 'c' | 'a' | 's',
  exactly: '' | 'i' | 'h',
  keys: number,
  count: number,
  digest: string,
  { touch, deadline, proofUntil, retentionMs, largest }: AttemptTerms,
): string {
  const what = `${doing}${touch ? 'w' : '-'}${exactly || '-'}`
  const sizes = `${largest}${fixed(keys, 5)}${fixed(count, 5)}`
  return `${what}${moment(deadline)}${moment(proofUntil)}${sizes}${digest === '' ? '-' : 'n'}${digest}${retentionMs}`
}

/** A time in ms since the epoch in 13 digits: right until the year 2286. */
function moment(ms: number): string {
  return ms >= 1e12 ? String(ms) : fixed(ms, 13)
}

function fixed(number: number, width: number): string {
  // Nearly all counts; quicker than padding.
  if (number < 10 && width === 5) return `0000${Math.max(0, number)}`
  return String(Math.max(0, number)).padStart(width, '0')
}

const TEXT = `
local call, sub, find = redis.pcall, string.sub, string.find
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local alone = #KEYS == tonumber(sub(ARGV[1], 40, 44))

-- The common case first, with nothing made that it does not need: one command alone, never seen, answered simply.
local ran, reply, failure = false, nil, nil
if alone and sub(ARGV[1], 1, 1) == 'c' and now <= tonumber(sub(ARGV[1], 4, 16)) then
  local head = ARGV[1]
  local cut = sub(head, 50, 50) == 'n' and ${50 + DIGEST_BYTES} or 50
  local digest = sub(head, 51, cut)
  local set = call('SET', KEYS[1], '${MAGIC}p' .. digest, 'NX', 'PX', sub(head, cut + 1))
  failure = set and set.err
  if set and set.ok then
    ran, reply = true, call(unpack(ARGV, 2))
    local kind, body = type(reply), nil
    if kind == 'number' and reply < 100000000000000 and reply > -100000000000000 then
      body = ':' .. reply .. '\\r\\n'
    elseif kind == 'string' then
      body = '$' .. #reply .. '\\r\\n' .. reply .. '\\r\\n'
    elseif kind == 'table' and reply.ok then
      body = '+' .. reply.ok .. '\\r\\n'
    elseif kind == 'boolean' then
      body = '_\\r\\n'
    end
    if body and #body <= tonumber(sub(head, 30, 39)) then
      call('SET', KEYS[1], '${MAGIC}d' .. digest .. body, 'KEEPTTL')
      return 'd' .. body
    end
  end
end

local function text(number)
  if number < 100000000000000 and number > -100000000000000 then return number .. '' end
  return string.format('%.0f', number)
end

local function encode(value)
  local kind = type(value)
  if kind == 'number' then return ':' .. text(value) .. '\\r\\n' end
  if kind == 'string' then return '$' .. #value .. '\\r\\n' .. value .. '\\r\\n' end
  if kind ~= 'table' then return '_\\r\\n' end
  if value.ok then return '+' .. value.ok .. '\\r\\n' end
  if value.err then return '-' .. value.err .. '\\r\\n' end
  local parts = {}
  for place = 1, #value do parts[place] = encode(value[place]) end
  return '*' .. #value .. '\\r\\n' .. table.concat(parts)
end

local function exactly(value, how, at)
  if type(value) ~= 'number' or (value < 9007199254740992 and value > -9007199254740992) then return encode(value) end
  local read = false
  if how == 'i' then read = call('GET', ARGV[at + 1]) end
  if how == 'h' then read = call('HGET', ARGV[at + 1], ARGV[at + 2]) end
  return type(read) == 'string' and ':' .. read .. '\\r\\n'
end

local function forbidden(err)
  return find(err, '[Ww]rong number of args calling') or find(err, 'Unknown Redis command')
    or find(err, 'user executing the script') or find(err, '[Nn]o permissions? to') or find(err, 'ACL failure')
end

local function operate(marker, head, at)
  local doing, deadline = sub(head, 1, 1), tonumber(sub(head, 4, 16))
  local cut = sub(head, 50, 50) == 'n' and ${50 + DIGEST_BYTES} or 50
  local digest, retention = sub(head, 51, cut), sub(head, cut + 1)
  local fresh, err = ran, failure
  if not ran and not failure and doing ~= 's' and now <= deadline then
    local set = call('SET', marker, '${MAGIC}p' .. digest, 'NX', 'PX', retention)
    if set then fresh, err = set.ok, set.err end
  end
  if not fresh then
    local seen = call('GET', marker)
    if type(seen) == 'table' then
      if find(seen.err, 'WRONGTYPE', 1, true) then return 'f' end
      return 'E' .. seen.err
    end
    if seen then
      if sub(seen, 1, 3) ~= '${MAGIC}' then return 'f' end
      local state = sub(seen, 4, 4)
      if state ~= 't' then
        if #seen < 4 + #digest then return 'f' end
        if sub(seen, 5, 4 + #digest) ~= digest then return 'k' end
        if sub(head, 2, 2) == 'w' then
          local kept = call('SET', marker, seen, 'KEEPTTL')
          if kept.err then return 'E' .. kept.err end
        end
        if state == 'd' then return 'r' .. sub(seen, 5 + #digest) end
        return (state == 'p' or state == 'n') and state or 'f'
      end
      local refused = tonumber(sub(seen, 5))
      if not refused then return 'f' end
      if refused >= deadline then return 'x' .. text(now) end
    end
    if err then return 'E' .. err end
    if doing == 's' or now > deadline then
      if now > tonumber(sub(head, 17, 29)) then return '?' .. text(now) end
      local set = call('SET', marker, '${MAGIC}t' .. sub(head, 4, 16), 'PX', retention)
      if set.err and not (now > deadline and find(set.err, 'OOM', 1, true)) then return 'E' .. set.err end
      return 'x' .. text(now)
    end
    local set = call('SET', marker, '${MAGIC}p' .. digest, 'PX', retention)
    if set.err then return 'E' .. set.err end
  end
  local body
  local count = tonumber(sub(head, 45, 49))
  if doing == 'c' then
    if not ran then reply = call(unpack(ARGV, at, at + count - 1)) end
    local failed = type(reply) == 'table' and reply.err
    if failed and forbidden(failed) then
      call('SET', marker, '${MAGIC}t0', 'PX', '1')
      return 'e' .. failed
    end
    body = exactly(reply, sub(head, 3, 3), at)
  else
    local parts, told = {}, true
    for place = 1, count do
      local words = tonumber(sub(ARGV[at], 2))
      parts[place] = exactly(call(unpack(ARGV, at + 1, at + words)), sub(ARGV[at], 1, 1), at + 1)
      told = told and parts[place]
      at = at + 1 + words
    end
    body = told and '*' .. count .. '\\r\\n' .. table.concat(parts)
  end
  if body and #body <= tonumber(sub(head, 30, 39)) then
    call('SET', marker, '${MAGIC}d' .. digest .. body, 'KEEPTTL')
  else
    call('SET', marker, '${MAGIC}n' .. digest, 'KEEPTTL')
  end
  return body and 'd' .. body or 'n'
end

local answers, key, at = {}, 1, 1
while key <= #KEYS do
  local head = ARGV[at]
  local answer = operate(KEYS[key], head, at + 1)
  -- A replica writes nothing of all this. Told as an error, it makes clients look for the primary.
  if find(answer, '^E%-?READONLY') then return redis.error_reply((string.gsub(answer, '^E%-?', ''))) end
  if alone then return answer end
  answers[#answers + 1] = answer
  key = key + tonumber(sub(head, 40, 44))
  local count = tonumber(sub(head, 45, 49))
  at = at + 1
  if sub(head, 1, 1) ~= 'a' then
    at = at + count
  else
    for command = 1, count do at = at + 1 + tonumber(sub(ARGV[at], 2)) end
  end
end
return answers
`
