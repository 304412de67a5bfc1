import { type RedisScript, redisScript } from '../../drivers/redis/index.ts'

/**
 * Reads the index of some buckets: `created` and `state` of each in KEYS, what for in ARGV. It writes nothing.
 *
 * The score in `state` is a kind times 2^44 plus a time in ms: 0 done, 1 running that may be rerun, 2 released (until
 * when each is remembered), 3 running that a lapse makes held (until when the claim holds), 4 held (since when).
 */
const INDEX_LUA = /* lua */ `
local KIND = 17592186044416
local what = ARGV[1]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local read = {}

-- Newest first, from a position (time, digest) on, exclusive: at most ARGV[3] of each bucket.
function read.walk(created, state, time, digest)
  local older, most = tonumber(ARGV[2]), tonumber(ARGV[3])
  time = tonumber(time)
  local from, found, offset = math.min(time, now - older), {}, 0
  while true do
    local part = redis.call('ZRANGE', created, from, '-inf', 'BYSCORE', 'REV', 'LIMIT', offset, most, 'WITHSCORES')
    for i = 1, #part, 2 do
      local at = tonumber(part[i + 1])
      if (at < time or part[i] < digest) and #found < 2 * most then
        found[#found + 1] = part[i]
        found[#found + 1] = part[i + 1]
      end
    end
    -- Only what was created in the very ms of the position can have been left out.
    if #part < 2 * most or #found >= 2 * most then return found end
    offset = offset + most
  end
end

-- The members between two scores, with the times of their creation; then the last score.
function read.range(created, state, from, to)
  local members = redis.call('ZRANGE', state, from, to, 'BYSCORE', 'LIMIT', 0, ARGV[2])
  local found = {}
  if #members == 0 then return found end
  local times = redis.call('ZMSCORE', created, unpack(members))
  for i = 1, #members do
    found[#found + 1] = members[i]
    found[#found + 1] = times[i] or '0'
  end
  found[#found + 1] = redis.call('ZSCORE', state, members[#members])
  return found
end

-- What has lapsed, or has expired: at most ARGV[2] of each bucket.
function read.lapsed(_, state)
  return redis.call('ZRANGE', state, 3 * KIND, 3 * KIND + now, 'BYSCORE', 'LIMIT', 0, ARGV[2])
end

function read.expired(_, state)
  local found = {}
  for kind = 0, 2 do
    local part = redis.call('ZRANGE', state, kind * KIND, kind * KIND + now, 'BYSCORE', 'LIMIT', 0, ARGV[2])
    for i = 1, #part do found[#found + 1] = part[i] end
  end
  return found
end

-- Counts: done, running, released and held ones that live, the age of the oldest held one, lapsed and expired ones.
function read.stats(_, state)
  local function count(kind, from, to)
    return redis.call('ZCOUNT', state, from and string.format('(%.0f', kind * KIND + from) or kind * KIND,
      kind * KIND + (to or KIND - 1))
  end
  local oldest = redis.call('ZRANGE', state, 4 * KIND, '+inf', 'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES')
  return {
    count(0, now), count(1, now) + count(3), count(2, now), count(4),
    oldest[2] and now - (tonumber(oldest[2]) - 4 * KIND) or 0,
    count(3, nil, now), count(0, nil, now) + count(1, nil, now) + count(2, nil, now),
  }
end

-- Each bucket may have arguments of its own: two of them, after the three for all.
local replies = {now}
for i = 1, #KEYS, 2 do
  replies[#replies + 1] = read[what](KEYS[i], KEYS[i + 1], ARGV[3 + i], ARGV[4 + i])
end
return replies
`

/** What a state means in the index: the lowest and the highest kind, and how many ms a kind spans. */
export const KIND = 17_592_186_044_416

/** Makes the script that reads the index. */
export function indexScript(): RedisScript {
  return redisScript(INDEX_LUA)
}
