import { type RedisScript, redisScript } from '../../drivers/redis/index.ts'
import { CLAIM_LUA } from './claim-lua.ts'
import { RECORD_LUA } from './record-lua.ts'

/**
 * The rules of `core/transitions.ts` in Lua. One call carries the transitions of many callers, packed into one
 * argument by `transition-items.ts`; each is answered by itself, and one that fails does not disturb the others.
 *
 * KEYS: `created` and `state` of each bucket, then the record of each item, then the audits that items name.
 */
const ITEMS_LUA = /* lua */ `
local function renew(at)
  local given, mine, leaseMs = unpack_('<dI2c0d', data, at)
  if not load() or not owns(mine, given) then return 0 end
  lease = now + leaseMs
  expire()
  save()
  return 1
end

local function checkpoint(at)
  local given, mine, name, entry = unpack_('<dI2c0I4c0I4c0', data, at)
  if not load() or not owns(mine, given) then return 0 end
  local from, to = #steps + 1, #steps
  local place = 1
  while place <= #steps do
    local other, state, begin
    begin = place
    other, state, _, _, _, place = unpack_(STEP, steps, place)
    if other == name then
      if state == 2 then
        touch()
        return 1
      end
      from, to = begin, place - 1
      break
    end
  end
  steps = sub(steps, 1, from - 1) .. entry .. sub(steps, to + 1)
  expire()
  save()
  return 1
end

local function complete(at)
  local length, after = 9 + unpack_('<I2', data, at + 8)
  local keepMs, what, size
  keepMs, what, size, after = unpack_('<dBI4', data, at + length + 1)
  raw = call('GET', key)
  if not raw then return 0 end
  local form = sub(raw, 1, 2)
  -- The first claim of all, and still the same: fence and owner are in both, byte by byte.
  if (form == PENDING or form == ENDED) and sub(raw, 3, 3 + length) == sub(data, at, at + length) then
    if form == ENDED then
      touch()
      return 1
    end
    call('SET', key, ENDED .. sub(raw, 3) .. pack('<ddB', now, keepMs, what) .. sub(data, after, after + size - 1),
      'PXAT', ceil(now + keepMs) + GRACE)
    call('ZADD', stateKey, ceil(now + keepMs), member)
    return 1
  end
  load()
  local given, mine = unpack_('<dI2c0', data, at)
  if endedBy(DONE, mine, given) then
    touch()
    return 1
  end
  if not owns(mine, given) then return 0 end
  st, outcome, keep, steps = DONE, sub(data, after, after + size - 1), keepMs, ''
  event(what)
  saveAndWake()
  return 1
end

local function release(at)
  local given, mine, note = unpack_('<dI2c0I4c0', data, at)
  if not load() then return 0 end
  if endedBy(RELEASED, mine, given) then
    touch()
    return 1
  end
  if not owns(mine, given) then return 0 end
  st, steps = RELEASED, finished()
  event(5, note ~= '' and sub(note, 2) or nil)
  saveAndWake()
  return 1
end

local function holdItem(at)
  local given, mine, why = unpack_('<dI2c0I4c0', data, at)
  if not load() then return 0 end
  if endedBy(HELD, mine, given) then
    touch()
    return 1
  end
  if not owns(mine, given) then return 0 end
  hold(why)
  saveAndWake()
  return 1
end

local function get()
  return load() and not expired() and raw or 0
end

local function takeTurn(at)
  local given, seen, quietMs, holding = unpack_('<dI4dB', data, at)
  if not load() or st ~= HELD or fence ~= given or asks ~= seen then return 0 end
  if holding == 0 then
    if now < quiet then return 0 end
    asks = asks + 1
  end
  quiet = now + quietMs
  save()
  return 1
end

local function resolve(at)
  local given, keepMs, as, audit, note, said, result = unpack_('<ddBI4I4c0I4c0I4c0', data, at)
  if not load() or expired() then return 0 end
  local lapsed = st == RUNNING and now >= lease and lapseHolds()
  if not (lapsed or st == HELD) or fence ~= given then
    return 'c' .. pack('<Bd', lapsed and HELD or st, fence)
  end
  if lapsed then lapse() end
  disown()
  reason = ''
  if keepMs >= 0 then keep = keepMs end
  if as == 0 then st, steps = RELEASED, finished() else st, steps, outcome = DONE, '', result end
  event(7, note)
  saveAndWake()
  local line = pack('<ddBI4', now, fence, as, #member) .. member .. pack('<I4', li) .. sub(front, lf + 1) .. said
  call('LPUSH', KEYS[2 * buckets + count + audit], line)
  call('LTRIM', KEYS[2 * buckets + count + audit], 0, 9999)
  return 'o' .. raw
end

local function unlist()
  call('ZREM', createdKey, member)
  return call('ZREM', stateKey, member)
end

local function sweep()
  if not load() then return unlist() * 0 end
  if st == RUNNING and now >= lease and lapseHolds() then
    lapse()
    saveAndWake()
    return 1
  end
  call('ZADD', stateKey, score(), member)
  return 0
end

local function forget()
  if not load() then return unlist() end
  if not expired() or fence >= us then return 0 end
  call('UNLINK', key)
  return unlist()
end

local function watch()
  if not load() or expired() or (st ~= RUNNING and st ~= HELD) then return 0 end
  if watched == 0 then
    watched = 1
    save()
  end
  -- Whoever waits cannot know whether it was held before: how long it has been tells.
  return st == HELD and 2 + now - changed or 1
end

local function peek()
  return load() and not expired() and pack('<Bd', st, changed) or 0
end

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

local items = {claim, renew, checkpoint, complete, release, holdItem, get, takeTurn, resolve, sweep, forget, watch, peek}
local replies = {now}
for i = 1, count do
  local op, bucket, length, at = unpack_('<BI2I4', data, pos)
  pos = at + length
  key, createdKey, stateKey = KEYS[2 * buckets + i], KEYS[2 * bucket - 1], KEYS[2 * bucket]
  member = sub(key, memberAt)
  local ok, reply = pcall(items[op], at, pos - 1)
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

const HEADER_LUA = /* lua */ `
local data = ARGV[1]
local buckets, memberAt, flags, notAfter, cleanFrom, cleanCount, count, pos = struct.unpack('<I2I2BdI2I2I2', data)
local acknowledged = flags == 1
`

const LATE_LUA = /* lua */ `
local late = notAfter > 0 and now > notAfter
`

/** Makes the script that carries out transitions. */
export function transitionScript(): RedisScript {
  return redisScript(HEADER_LUA + RECORD_LUA + LATE_LUA + CLAIM_LUA + ITEMS_LUA)
}
