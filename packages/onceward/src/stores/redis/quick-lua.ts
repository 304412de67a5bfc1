/**
 * The first part of the transition script: what is sent, the time, and the three steps that most operations consist of: the
 * first claim of all, its completion, and the same answer again. A script begins anew with each call, and to define a
 * function takes it longer the more it refers to; so these steps stand in one, and everything else is defined where a call
 * comes to need it.
 *
 * A command costs more than what it does, so the call reads all its records with one `MGET`, and keeps what a claim and its
 * completion write until its end: then the new records are written with one `MSETNX`, and each index with one `ZADD`.
 */
export const QUICK_LUA = /* lua */ `
-- What lasts while items fail: the answers, how far the call is, what has been read, and what is to be written at the end:
-- keys and values with the numbers of their items, and scores and members by bucket.
local replies, item, pos, raws, seen = {}, 1, nil, nil, {}
local fresh, freshItems, created, states, kept, writing = {}, {}, {}, {}, 0, false
local clock = redis.call('TIME')

-- Redis does not say which command it has refused inside a script; from version 7 on it can be asked.
local function refused(problem, key, index)
  local said = tostring(type(problem) == 'table' and problem.err or problem)
  -- What is shorter than it says was not written by this store.
  if string.find(said, 'data string too short', 1, true) then return 'EFOREIGN' end
  if not redis.acl_check_cmd or not string.find(said, "can't run this command", 1, true) then return 'E' .. said end
  local needed = {
    {'MGET', key}, {'GET', key}, {'MSETNX', key, ''}, {'SET', key, ''}, {'SETRANGE', key, 0, ''}, {'UNLINK', key},
    {'PUBLISH', key, ''}, {'ZADD', index, 0, ''}, {'ZREM', index, ''}, {'LPUSH', index, ''}, {'LTRIM', index, 0, 0},
  }
  for i = 1, #needed do
    if not redis.acl_check_cmd(unpack(needed[i])) then said = said .. ' +' .. string.lower(needed[i][1]) end
  end
  return 'E' .. said
end

local function keep_(lists, bucket, score, member)
  local entries = lists[bucket]
  if not entries then
    lists[bucket] = {score, member}
  else
    local size = #entries
    entries[size + 1] = score
    entries[size + 2] = member
  end
  kept = kept + 1
end

-- Redis writes a number with 17 digits, which takes it longer than to look it up here.
local texts = {}
local function text(number)
  local known = texts[number]
  if not known then
    known = string.format('%.0f', number)
    texts[number] = known
  end
  return known
end

local function run()
local data, call, ceil = ARGV[1], redis.call, math.ceil
local unpack_, pack, sub, byte = struct.unpack, struct.pack, string.sub, string.byte
-- What a record of the short form begins with; the first byte is none that text begins with.
local SHORT = '\\1P'
-- One sorted set tells the state of each record and when something is due: kind * KIND + ms.
local KIND = 17592186044416
-- For so long an expired record stays, so that fences go on increasing when the clock is set back a little.
local GRACE = 10000

local us = clock[1] * 1000000 + clock[2]
local now = math.floor(us / 1000)
local buckets, memberAt, flags, notAfter, cleanFrom, cleanCount, count, first = unpack_('<I2I2BdI2I2I2', data)
local acknowledged, late = flags == 1, notAfter > 0 and now > notAfter
local records = 2 * buckets
local key, createdKey, stateKey, member, raw, stamp, today, ending, items, more

if not raws then
  pos, replies[1] = first, now
  raws = count > 1 and call('MGET', unpack(KEYS, records + 1, records + count)) or {call('GET', KEYS[records + 1])}
end
repeat
  writing = false
  while item <= count do
    local op, bucket, length, at = unpack_('<BI2I4', data, pos)
    local last, reply = at + length - 1
    key = KEYS[records + item]
    raw = raws[item]
    -- Several items of one record see what those before them have written. Lua hands over no more than 8,000 values.
    if kept > 0 and (seen[key] or kept > 3000) then break end
    -- From here on the item may fail, and the next has to be found then.
    pos = last + 1
    if seen[key] then raw = call('GET', key) end
    seen[key] = true
    member = sub(key, memberAt)

    if op == 1 and late then
      -- Whoever asked has given up by now, and would never give back what it was granted.
      reply = 'l'
    elseif op == 1 and not raw then
      -- What a caller without a record before it has sent is the record, but for the fence, which is the time.
      local _, onCrash, leaseMs = unpack_('<BBd', data, at)
      if not stamp then stamp, today = SHORT .. pack('<d', us), text(now) end
      local value, until_ = stamp .. sub(data, at + 10, last), now + leaseMs
      if onCrash == 1 then
        local size = #fresh
        fresh[size + 1] = key
        fresh[size + 2] = value
        freshItems[size / 2 + 1] = item
        keep_(states, bucket, text(3 * KIND + ceil(until_)), member)
      else
        until_ = ceil(until_ + unpack_('<d', data, at + 20 + unpack_('<I2', data, at + 10)))
        if not call('SET', key, value, 'PXAT', text(until_ + GRACE), 'NX') then error('FOREIGN', 0) end
        keep_(states, bucket, text(KIND + until_), member)
      end
      keep_(created, bucket, today, member)
      reply = us
    elseif op == 1 and byte(raw, 2) == 80 and byte(raw, -1) == 1 then
      -- What has ended is answered again, but where it has expired or is asked with another fingerprint.
      local fence, owner = unpack_('<dI2', raw, 3)
      local _, _, _, printed, named, from = unpack_('<ddBI4I4', raw, 13 + owner)
      local changed, keepMs, _, rest = unpack_('<ddB', raw, from + printed + named + 1)
      local asked, _, print = unpack_('<I4I4', data, at + 29 + unpack_('<I2', data, at + 10))
      if now < changed + keepMs and (printed == 0 or asked == 0
        or sub(raw, from, from + printed - 1) == sub(data, print, print + asked - 1)) then
        if acknowledged then call('SETRANGE', key, 0, sub(raw, 1, 1)) end
        reply = 'd' .. pack('<I4dd', 1, fence, changed + keepMs - now) .. sub(raw, rest, -2)
      end
    elseif op == 4 and raw then
      -- Fence and owner of a record that was never anything but claimed are compared byte by byte. Its last byte tells
      -- whether it has ended.
      local rest = at + 10 + unpack_('<I2', data, at + 8)
      if byte(raw, 2) == 80 and string.find(raw, sub(data, at, rest - 1), 3, true) == 3 then
        reply = 1
        if byte(raw, -1) == 0 then
          ending = ending or pack('<d', now)
          local until_ = ceil(now + unpack_('<d', data, rest))
          call('SET', key, raw .. ending .. sub(data, rest, last), 'PXAT', text(until_ + GRACE))
          keep_(states, bucket, text(until_), member)
        elseif acknowledged then
          call('SETRANGE', key, 0, sub(raw, 1, 1))
        end
      end
    end

    if not reply then
      createdKey, stateKey = KEYS[2 * bucket - 1], KEYS[2 * bucket]
      if not items then items, more = (function()
`

/** The last part: how everything else is reached, and what is done at the end. */
export const LOOP_LUA = /* lua */ `
      end)() end
      if not items[op] then items = more() end
      reply = items[op](at, last)
    end
    replies[item + 1] = reply
    item = item + 1
  end

  -- What was kept is written.
  writing = true
  if #fresh > 0 then
    local ok, done = pcall(call, 'MSETNX', unpack(fresh))
    if not ok or done == 0 then
      -- Each is written alone, or is told why not and is not listed.
      local gone = {}
      for i = 1, #freshItems do
        local written, how = pcall(call, 'SET', fresh[2 * i - 1], fresh[2 * i], 'NX')
        if not written or not how then
          replies[freshItems[i] + 1] = written and 'EFOREIGN' or refused(how, key, KEYS[2])
          gone[sub(fresh[2 * i - 1], memberAt)] = true
        end
      end
      for _, lists in ipairs({created, states}) do
        for _, entries in pairs(lists) do
          for i = #entries, 2, -2 do
            if gone[entries[i]] then
              table.remove(entries, i)
              table.remove(entries, i - 1)
            end
          end
        end
      end
    end
  end
  for index = 1, 2 do
    for bucket, entries in pairs(index == 1 and created or states) do
      local ok, problem = true
      if #entries > 0 then ok, problem = pcall(call, 'ZADD', KEYS[2 * bucket - 2 + index], unpack(entries)) end
      if not ok then
        -- Those of a bucket whose index could not be written are told so.
        local at, answer = first, refused(problem, key, KEYS[2])
        for i = 1, count do
          local op, other, length, from = unpack_('<BI2I4', data, at)
          at = from + length
          if other == bucket and (op == 1 or op == 4) and type(replies[i + 1]) == 'number' then
            replies[i + 1] = answer
          end
        end
      end
    end
  end
  fresh, freshItems, created, states, kept = {}, {}, {}, {}, 0
until item > count

-- Index entries of records that the server has dropped by itself go bit by bit with whatever else is done.
for i = 1, cleanCount do
  local place, part = (cleanFrom + i) % buckets, us % 8
  local createdKey, stateKey, from = KEYS[2 * place + 1], KEYS[2 * place + 2], part < 6 and 0 or (part - 5) * KIND
  local ok, gone = pcall(call, 'ZRANGE', stateKey, from, from + now - GRACE, 'BYSCORE', 'LIMIT', 0, 64)
  if ok and #gone > 0 and pcall(call, 'ZREM', createdKey, unpack(gone)) then
    pcall(call, 'ZREM', stateKey, unpack(gone))
  end
end
end

repeat
  local ok, problem = pcall(run)
  if not ok then
    -- Where nothing was read, or not everything written, nothing can be said of the others either.
    if writing then error(problem, 0) end
    local count = struct.unpack('<I2', ARGV[1], 18)
    for i = item, raws and item or count do replies[i + 1] = refused(problem, KEYS[#KEYS], KEYS[2]) end
    item = item + 1
  end
until ok or not raws
return replies
`
