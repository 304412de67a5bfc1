/**
 * The first part of the transition script: what is sent, the time, and the two steps that most operations consist of: the
 * first claim of all, and its completion. Everything else is defined only where a call needs it, since a script begins
 * anew with each call.
 *
 * A command costs more than what it does, so the call reads all its records with one `MGET`, and keeps what these two
 * steps write until its end: then the new records are written with one `MSETNX`, and each index with one `ZADD`.
 */
export const QUICK_LUA = /* lua */ `
local data = ARGV[1]
local unpack_, pack, sub, byte = struct.unpack, struct.pack, string.sub, string.byte
local ceil, call, format = math.ceil, redis.call, string.format
local HEAD = '<c2BBBBI4I4I4dddddddI4I4I4I4I4I4'
-- What each form of a record begins with; the first byte is none that text begins with.
local WHOLE, SHORT = '\\1R', '\\1P'
local RUNNING, DONE, HELD, RELEASED = 1, 2, 3, 4
-- One sorted set tells the state of each record and when something is due: kind * KIND + ms.
local KIND = 17592186044416
-- For so long an expired record stays, so that fences go on increasing when the clock is set back a little.
local GRACE = 10000

local clock = call('TIME')
local us = clock[1] * 1000000 + clock[2]
local now = math.floor(us / 1000)

local key, createdKey, stateKey, member, raw, place

local buckets, memberAt, flags, notAfter, cleanFrom, cleanCount, count, pos = unpack_('<I2I2BdI2I2I2', data)
local acknowledged, late = flags == 1, notAfter > 0 and now > notAfter
local records = 2 * buckets

-- Redis writes a number with 17 digits, which takes it longer than to look it up here.
local texts = {}
local function text(number)
  local known = texts[number]
  if not known then
    known = format('%.0f', number)
    texts[number] = known
  end
  return known
end

-- What is to be written at the end: keys and values, with the numbers of their items; and scores and members by bucket.
local fresh, freshItems, created, states, kept = {}, {}, {}, {}, 0
local stamp, today = SHORT .. pack('<d', us), pack('<d', now)

local function keep_(lists, score)
  local list = lists[place]
  if not list then
    list = {}
    lists[place] = list
  end
  local size = #list
  list[size + 1] = score
  list[size + 2] = member
  kept = kept + 1
end

-- What a caller without a record before it has sent is the record, but for the fence, which is the time.
local function begin(item, at, last)
  local _, _, leaseMs, keepMs, onCrash = unpack_('<BI2c0ddB', data, at)
  local value = stamp .. sub(data, at + 1, last)
  local until_ = now + leaseMs
  if onCrash == 1 then
    local size = #fresh
    fresh[size + 1] = key
    fresh[size + 2] = value
    freshItems[size / 2 + 1] = item
    keep_(states, text(3 * KIND + ceil(until_)))
  else
    until_ = ceil(until_ + keepMs)
    if not call('SET', key, value, 'PXAT', text(until_ + GRACE), 'NX') then error('FOREIGN', 0) end
    keep_(states, text(KIND + until_))
  end
  keep_(created, text(now))
  return us
end

-- Fence and owner of a record that was never anything but claimed are compared byte by byte. Its last byte tells whether
-- it has ended.
local function finish(at, last)
  local length = 9 + unpack_('<I2', data, at + 8)
  if byte(raw, 2) ~= 80 or sub(raw, 3, 3 + length) ~= sub(data, at, at + length) then return end
  if byte(raw, -1) == 1 then
    if acknowledged then call('SETRANGE', key, 0, sub(raw, 1, 1)) end
    return 1
  end
  at = at + length + 1
  local until_ = ceil(now + unpack_('<d', data, at))
  call('SET', key, raw .. today .. sub(data, at, last), 'PXAT', text(until_ + GRACE))
  keep_(states, text(until_))
  return 1
end
`

/** The last part: goes through the items, and cleans up. */
export const LOOP_LUA = /* lua */ `
-- Redis does not say which command it has refused inside a script; from version 7 on it can be asked.
local function refused(problem)
  local text = tostring(type(problem) == 'table' and problem.err or problem)
  if not redis.acl_check_cmd or not string.find(text, "can't run this command", 1, true) then return 'E' .. text end
  local needed = {
    {'MGET', key}, {'GET', key}, {'MSETNX', key, ''}, {'SET', key, ''}, {'SETRANGE', key, 0, ''}, {'UNLINK', key},
    {'PUBLISH', key, ''}, {'ZADD', stateKey, 0, ''}, {'ZREM', stateKey, ''}, {'LPUSH', stateKey, ''},
    {'LTRIM', stateKey, 0, 0},
  }
  for i = 1, #needed do
    if not redis.acl_check_cmd(unpack(needed[i])) then text = text .. ' +' .. string.lower(needed[i][1]) end
  end
  return 'E' .. text
end

local replies, first = {now}, pos

-- Where the new records cannot be written together, each is written alone, or is told why not and is not listed.
local function writeEach(values, items)
  local gone = {}
  for i = 1, #items do
    local ok, done = pcall(call, 'SET', values[2 * i - 1], values[2 * i], 'NX')
    if not ok or not done then
      replies[items[i] + 1] = ok and 'EFOREIGN' or refused(done)
      gone[sub(values[2 * i - 1], memberAt)] = true
    end
  end
  for _, lists in ipairs({created, states}) do
    for bucket, list in pairs(lists) do
      local left = {}
      for i = 1, #list, 2 do
        if not gone[list[i + 1]] then
          left[#left + 1] = list[i]
          left[#left + 1] = list[i + 1]
        end
      end
      lists[bucket] = left
    end
  end
end

-- Tells those of a bucket whose index could not be written.
local function unlisted(bucket, problem)
  local answer, at = refused(problem), first
  for i = 1, count do
    local op, other, length, from = unpack_('<BI2I4', data, at)
    at = from + length
    if other == bucket and (op == 1 or op == 4) and type(replies[i + 1]) == 'number' then replies[i + 1] = answer end
  end
end

-- Writes what was kept.
local function flush()
  if kept == 0 then return end
  if #fresh > 0 then
    local ok, done = pcall(call, 'MSETNX', unpack(fresh))
    if not ok or done == 0 then writeEach(fresh, freshItems) end
  end
  for bucket = 1, buckets do
    for index = 0, 1 do
      local list = (index == 0 and created or states)[bucket]
      if list and #list > 0 then
        local ok, problem = pcall(call, 'ZADD', KEYS[2 * bucket - 1 + index], unpack(list))
        if not ok then unlisted(bucket, problem) end
      end
    end
  end
  fresh, freshItems, created, states, kept = {}, {}, {}, {}, 0
end

local found, raws = pcall(call, 'MGET', unpack(KEYS, records + 1, records + count))
if not found then
  key, stateKey = KEYS[records + 1], KEYS[2]
  local answer = refused(raws)
  for i = 1, count do replies[i + 1] = answer end
  return replies
end

local seen, item, items = {}, 1
local function run()
  while item <= count do
    local op, length, at
    op, place, length, at = unpack_('<BI2I4', data, pos)
    pos = at + length
    key, createdKey, stateKey = KEYS[records + item], KEYS[2 * place - 1], KEYS[2 * place]
    member, raw = sub(key, memberAt), raws[item]
    -- Several items of one record see what those before them have written. Lua hands over no more than 8,000 values.
    if seen[key] or kept > 3000 then
      flush()
      if seen[key] then raw = call('GET', key) end
    end
    seen[key] = true
    local reply
    if op == 1 then
      -- Whoever asked has given up by now, and would never give back what it was granted.
      if late then reply = 'l' elseif not raw then reply = begin(item, at, pos - 1) end
    elseif op == 4 and raw then
      reply = finish(at, pos - 1)
    end
    if not reply then
      items = items or others()
      reply = items[op](at, pos - 1)
    end
    replies[item + 1] = reply
    item = item + 1
  end
end
while item <= count do
  local ok, problem = pcall(run)
  if not ok then
    replies[item + 1] = refused(problem)
    item = item + 1
  end
end
flush()

-- Index entries of records that the server has dropped by itself go bit by bit with whatever else is done.
for i = 1, cleanCount do
  local bucket = (cleanFrom + i) % buckets
  pcall(function()
    local createdKey, stateKey, part = KEYS[2 * bucket + 1], KEYS[2 * bucket + 2], us % 8
    local from = part < 6 and 0 or (part - 5) * KIND
    local gone = call('ZRANGE', stateKey, from, from + now - GRACE, 'BYSCORE', 'LIMIT', 0, 64)
    if #gone > 0 then
      call('ZREM', createdKey, unpack(gone))
      call('ZREM', stateKey, unpack(gone))
    end
  end)
end
return replies
`
