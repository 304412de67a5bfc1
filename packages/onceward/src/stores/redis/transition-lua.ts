import { type RedisScript, redisScript } from '../../drivers/redis/index.ts'
import { CLAIM_LUA } from './claim-lua.ts'
import { LOOP_LUA, QUICK_LUA } from './quick-lua.ts'
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

local function complete(at, last)
  if not load() then return 0 end
  local given, mine, keepMs, what, from = unpack_('<dI2c0dB', data, at)
  if endedBy(DONE, mine, given) then
    touch()
    return 1
  end
  if not owns(mine, given) then return 0 end
  st, outcome, keep, steps = DONE, sub(data, from, last - 1), keepMs, ''
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
  write()
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
  -- The audit comes first: nothing is decided that it does not tell.
  local line = pack('<ddBI4', now, fence, as, #member) .. member .. pack('<I4', li) .. sub(front, lf + 1) .. said
  call('LPUSH', KEYS[2 * buckets + count + audit], line)
  call('LTRIM', KEYS[2 * buckets + count + audit], 0, 9999)
  saveAndWake()
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
    write()
  end
  -- Whoever waits cannot know whether it was held before: how long it has been tells.
  return st == HELD and 2 + now - changed or 1
end

local function peek()
  return load() and not expired() and pack('<Bd', st, changed) or 0
end

return {claim, renew, checkpoint, complete, release, holdItem, get, takeTurn, resolve, sweep, forget, watch, peek}
`

/** Makes the script that carries out transitions. */
export function transitionScript(): RedisScript {
  return redisScript(
    `${QUICK_LUA}${RECORD_LUA}${CLAIM_LUA}return {claim}, function()\n${ITEMS_LUA}end\n${LOOP_LUA}`,
  )
}
