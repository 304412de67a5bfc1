/** The second part of the transition script: what a claim finds, and what it is granted. */
export const CLAIM_LUA = /* lua */ `
local function owns(mine, given)
  return st == RUNNING and fence == given and sub(front, 1, lo) == mine
end

local function endedBy(state, mine, given)
  return st == state and fence == given and sub(front, 1, lo) == mine
end

local function claimedReply(takenOver)
  local done = finished()
  if attempt == 1 and done == '' then return fence end
  return 'c' .. pack('<dI4B', fence, attempt, takenOver and 1 or 0) .. done
end

local function grant(previous, leaseMs, keepMs, onCrash, mine, print, ident, takenOver)
  st, crash, lease, keep = RUNNING, onCrash, now + leaseMs, keepMs
  front, lo, lf, li = mine .. print .. ident, #mine, #print, #ident
  fence = previous + 1
  if us > fence then fence = us end
  attempt = attempt + 1
  steps = finished()
  event(takenOver and 2 or 1)
  save()
  return claimedReply(takenOver)
end

local function heldReply()
  return 'h' .. pack('<dI4I4d', fence, attempt, asks, quiet > now and quiet - now or 0) .. reason
end

local function claim(at, last)
  -- Behind ten bytes it is as a short record has it; the last is not of the key.
  local again, _, _, mine, leaseMs, keepMs, onCrash, printLength, idLength, from = unpack_('<BBdI2c0ddBI4I4', data, at)
  load()
  local print = sub(data, from, from + printLength - 1)
  local ident = sub(data, from + printLength, last - 1)
  if expired() then
    local previous = fence
    attempt, dups, asks, quiet, born, events = 0, 0, 0, 0, now, 0
    reason, hist, steps, outcome = '', '', '', ''
    local reply = grant(previous, leaseMs, keepMs, onCrash, mine, print, ident, false)
    call('ZADD', createdKey, now, member)
    return reply
  end
  local own = sub(front, 1, lo) == mine
  if st == RUNNING and own then
    lease = now + leaseMs
    expire()
    save()
    return claimedReply(attempt > 1 and lastEvent() == 2)
  end
  if lf > 0 and print ~= '' and not (st == RELEASED and steps == '') and sub(front, lo + 1, lo + lf) ~= print then
    return 'u'
  end
  if st == DONE then
    touch()
    return 'd' .. pack('<I4dd', attempt, fence, ends - now) .. outcome
  end
  if st == RELEASED then
    if own then return 'r' .. pack('<I4d', attempt, 0) end
    return grant(fence, leaseMs, keepMs, onCrash, mine, print, ident, false)
  end
  local lapsed = st == RUNNING and now >= lease
  if lapsed and not lapseHolds() then
    return grant(fence, leaseMs, keepMs, onCrash, mine, print, ident, true)
  end
  if again == 0 then dups = dups + 1 end
  if lapsed then
    lapse()
    saveAndWake()
  elseif again == 0 then
    write()
  elseif st == HELD then
    touch()
  end
  if st == HELD then return heldReply() end
  return 'r' .. pack('<I4d', attempt, lease - now)
end
`
