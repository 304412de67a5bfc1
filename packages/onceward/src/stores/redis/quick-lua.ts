/**
 * The first part of the transition script: what is sent, the time, and the two steps that most operations consist of: the
 * first claim of all, and its completion. Everything else is defined only where a call needs it, since a script begins
 * anew with each call.
 */
export const QUICK_LUA = /* lua */ `
local data = ARGV[1]
local unpack_, pack, sub, byte = struct.unpack, struct.pack, string.sub, string.byte
local ceil, call = math.ceil, redis.call
local HEAD = '<c2BBBBI4I4I4dddddddI4I4I4I4I4I4'
-- What each form of a record begins with; the first byte is none that text begins with.
local WHOLE, PENDING, ENDED = '\\1R', '\\1P', '\\1D'
local RUNNING, DONE, HELD, RELEASED = 1, 2, 3, 4
-- One sorted set tells the state of each record and when something is due: kind * KIND + ms.
local KIND = 17592186044416
-- For so long an expired record stays, so that fences go on increasing when the clock is set back a little.
local GRACE = 10000

local clock = call('TIME')
local us = clock[1] * 1000000 + clock[2]
local now = math.floor(us / 1000)

local key, createdKey, stateKey, member, raw

local buckets, memberAt, flags, notAfter, cleanFrom, cleanCount, count, pos = unpack_('<I2I2BdI2I2I2', data)
local acknowledged, late = flags == 1, notAfter > 0 and now > notAfter

-- What a caller without a record before it has sent is the record, but for the time.
local function begin(at, last)
  local length = unpack_('<I2', data, at)
  local rest = at + length + 3
  local leaseMs, keepMs, onCrash = unpack_('<ddB', data, rest)
  local value = PENDING .. pack('<d', us) .. sub(data, at, at + 1 + length) .. pack('<d', now) .. sub(data, rest, last)
  local until_ = now + leaseMs
  if onCrash == 1 then
    call('SET', key, value)
    call('ZADD', stateKey, 3 * KIND + ceil(until_), member)
  else
    until_ = ceil(until_ + keepMs)
    call('SET', key, value, 'PXAT', until_ + GRACE)
    call('ZADD', stateKey, KIND + until_, member)
  end
  call('ZADD', createdKey, now, member)
  return us
end

-- Fence and owner of a record that was never anything but claimed are compared byte by byte.
local function finish(at)
  local length = 9 + unpack_('<I2', data, at + 8)
  local form = sub(raw, 1, 2)
  if (form ~= PENDING and form ~= ENDED) or sub(raw, 3, 3 + length) ~= sub(data, at, at + length) then return end
  if form == ENDED then
    if acknowledged then call('SETRANGE', key, 0, sub(raw, 1, 1)) end
    return 1
  end
  local keepMs, what, size, from = unpack_('<dBI4', data, at + length + 1)
  local until_ = ceil(now + keepMs)
  call('SET', key, ENDED .. sub(raw, 3) .. pack('<ddB', now, keepMs, what) .. sub(data, from, from + size - 1),
    'PXAT', until_ + GRACE)
  call('ZADD', stateKey, until_, member)
  return 1
end
`

/** The last part: goes through the items, and cleans up. */
export const LOOP_LUA = /* lua */ `
-- Redis does not say which command it has refused inside a script; from version 7 on it can be asked.
local function refused(text)
  if not redis.acl_check_cmd or not string.find(text, "can't run this command", 1, true) then return text end
  local needed = {
    {'GET', key}, {'SET', key, ''}, {'SETRANGE', key, 0, ''}, {'UNLINK', key}, {'PUBLISH', key, ''},
    {'ZADD', stateKey, 0, ''}, {'ZREM', stateKey, ''}, {'LPUSH', stateKey, ''}, {'LTRIM', stateKey, 0, 0},
  }
  for i = 1, #needed do
    if not redis.acl_check_cmd(unpack(needed[i])) then text = text .. ' +' .. string.lower(needed[i][1]) end
  end
  return text
end

local items
local function step(op, at, last)
  if op == 1 then
    -- Whoever asked has given up by now, and would never give back what it was granted.
    if late then return 'l' end
    raw = call('GET', key)
    if not raw then return begin(at, last) end
  elseif op == 4 then
    raw = call('GET', key)
    if not raw then return 0 end
    local reply = finish(at)
    if reply then return reply end
  end
  items = items or others()
  return items[op](at, last)
end

local replies = {now}
for i = 1, count do
  local op, bucket, length, at = unpack_('<BI2I4', data, pos)
  pos = at + length
  key, createdKey, stateKey = KEYS[2 * buckets + i], KEYS[2 * bucket - 1], KEYS[2 * bucket]
  member = sub(key, memberAt)
  local ok, reply = pcall(step, op, at, pos - 1)
  if not ok then reply = 'E' .. refused(tostring(type(reply) == 'table' and reply.err or reply)) end
  replies[i + 1] = reply
end

-- Index entries of records that the server has dropped by itself go bit by bit with whatever else is done.
for i = 1, cleanCount do
  local place = (cleanFrom + i) % buckets
  pcall(function()
    local created, state, part = KEYS[2 * place + 1], KEYS[2 * place + 2], us % 8
    local from = part < 6 and 0 or (part - 5) * KIND
    local gone = call('ZRANGE', state, from, from + now - GRACE, 'BYSCORE', 'LIMIT', 0, 64)
    if #gone > 0 then
      call('ZREM', created, unpack(gone))
      call('ZREM', state, unpack(gone))
    end
  end)
end
return replies
`
