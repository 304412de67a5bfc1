/**
 * The first part of every script: the record in hand, and how it is read and written.
 *
 * A lock is one string, `L1` and a JSON list, so that a step reads it with one `GET` and writes it with one `SET`:
 *
 * ```
 *  L1["<fence>", holders, queue, mark, forced]
 *  holder  ["<token>", "x" or "s", "<fence>", fences, until, "<owner>", "<meta>" or false]
 *  place   ["<token>", "x" or "s", permits or 0, until, "<channel>", offer or false]
 *  offer   [round, fences, "<owner>", "<meta>" or false, ttl]: what the grant is to be that the place may become
 *  mark    ["<text>", until] or false          forced  [at, "<by>", "<reason>", "<fence>"]
 * ```
 *
 * `record-text.ts` reads the same. Times are ms of the server's clock, fences texts since JSON here keeps 14 digits.
 *
 * A caller who was told the record a moment ago sends it along. It is then replaced at once, on the expectation that it is
 * still the same, and the `SET` tells whether it was; if not, the step is decided anew on what was there instead. Nobody
 * sees what is between, since a script is alone. So a step that goes as expected reads and writes in one command.
 */
export const RECORD_LUA = /* lua */ `
local call, try, sub, floor, max = redis.call, redis.pcall, string.sub, math.floor, math.max
local key, prefix = KEYS[1], ARGV[1]
-- For so long an idle record stays, so that fences go on increasing when the clock is set back a little.
local GRACE = 10000
local FORCED_KEPT = 604800000
-- A longer record is not told around: to send it costs more than to read it.
local MOST_TOLD = 4096

local now, us, exact
local fence, holders, queue, mark, forced
local wakes, granted, passed

local function digits(number)
  return string.format('%.0f', number)
end

local function look()
  if not exact then
    local clock = call('TIME')
    us = clock[1] * 1000000 + clock[2]
    exact = floor(us / 1000)
  end
  now = exact
end

local function parse(raw)
  local list = cjson.decode(sub(raw, 3))
  fence, holders, queue, mark, forced = tonumber(list[1]), list[2], list[3], list[4], list[5]
  return fence + #holders + #queue + #forced
end

local function load(raw)
  fence, holders, queue, mark, forced, wakes, granted, passed = 0, {}, {}, false, {}, false, false, false
  if not raw then return true end
  return sub(raw, 1, 2) == 'L1' and pcall(parse, raw)
end

local function living(list, at, since)
  local kept = {}
  for i = 1, #list do
    if list[i][at] > since then kept[#kept + 1] = list[i] end
  end
  return kept
end

local function prune()
  holders, queue = living(holders, 5, now), living(queue, 4, now)
  if #forced > 0 then forced = living(forced, 1, now - FORCED_KEPT) end
  if mark and mark[2] <= now then mark = false end
end

local function idle()
  return #holders == 0 and #queue == 0 and #forced == 0 and not mark
end

-- The record as text, and for how long it has to be kept.
local function packed()
  local last = max(now, fence / 1000)
  for i = 1, #holders do last = max(last, holders[i][5]) end
  for i = 1, #queue do last = max(last, queue[i][4]) end
  for i = 1, #forced do last = max(last, forced[i][1] + FORCED_KEPT) end
  if mark then last = max(last, mark[2]) end
  return 'L1' .. cjson.encode({digits(fence), holders, queue, mark, forced}), digits(math.ceil(last - now) + GRACE)
end

local function fits(mode, permits)
  if mode == 'x' then return #holders == 0 end
  if permits > 0 and #holders >= permits then return false end
  for i = 1, #holders do
    if holders[i][2] == 'x' then return false end
  end
  return true
end

local function indexOf(list, token)
  for i = 1, #list do
    if list[i][1] == token then return i end
  end
end

local function refused(reply)
  return type(reply) == 'table' and reply.err
end

-- The first one who waits, if it would be granted now.
local function turn()
  local first = wakes and queue[1]
  return first and fits(first[2], first[3]) and first
end

-- Makes the grant of the place whose turn it is, where that offers it. It ends no later than the place would have: who died
-- does not keep others waiting for longer.
local function pass()
  if not turn() or not turn()[6] then return end
  look()
  prune()
  local first = turn()
  if not first or not first[6] then return end
  local round, fences, owner, meta, ttl = unpack(first[6])
  local from = max(fence + 1, us)
  holders[#holders + 1] = {first[1], first[2], digits(from), fences, math.min(first[4], now + ttl), owner, meta}
  fence = from + fences - 1
  table.remove(queue, 1)
  passed = {first[5], first[1] .. ' ' .. cjson.encode({round, digits(from), mark and mark[1]})}
  return true
end

-- Tells the next one of the grant, or of the turn, and makes the reply.
local function told(reply, text)
  local short = text and #text <= MOST_TOLD and text
  local first = turn()
  local wake = passed or first and {first[5], first[1]}
  if wake then call('PUBLISH', prefix .. wake[1], short and wake[2] .. '\\n' .. short or wake[2]) end
  return {now, granted and short, unpack(reply)}
end

-- Carries out a rule, which answers its reply and whether there is something to write.
local function step(rule, expected)
  local raw, swapped
  if expected ~= '' and load(expected) then
    local reply, changes = rule(true)
    changes = pass() or changes
    if changes then
      local text, life = packed()
      raw = try('SET', key, text, 'PX', life, 'GET')
      if raw == expected then return told(reply, text) end
      swapped = not refused(raw)
    end
  end
  if not swapped then raw = try('GET', key) end
  if refused(raw) then
    return string.find(raw.err, 'WRONGTYPE', 1, true) and 'FOREIGN' or raw
  end
  if not load(raw) then
    if swapped then call('SET', key, raw) end
    return 'FOREIGN'
  end
  local reply, changes = rule(false)
  changes = pass() or changes
  if changes then
    local text, life = packed()
    local written = try('SET', key, text, 'PX', life)
    if refused(written) then
      -- A server without room must still let go of what is not needed.
      if not idle() or not string.find(written.err, 'OOM', 1, true) then return written end
      call('UNLINK', key)
    end
    return told(reply, text)
  end
  if swapped then
    local _, life = packed()
    if raw then call('SET', key, raw, 'PX', life) else call('UNLINK', key) end
  end
  return told(reply)
end
`

/** What grants a lock or keeps a place: the last part of what `acquire` and `release` share. */
export const ASK_LUA = /* lua */ `
-- The request whose first field is the argument at i.
local function ask(i)
  local token, mode, owner, meta, channel = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4]
  local permits, ttl, place = tonumber(ARGV[i + 5]), tonumber(ARGV[i + 6]), tonumber(ARGV[i + 7])
  local overtake, fences, round = ARGV[i + 8] == '1', tonumber(ARGV[i + 9]), tonumber(ARGV[i + 10])
  local about = meta ~= '' and sub(meta, 2)
  local held = indexOf(holders, token)
  if held then
    look()
    granted = true
    holders[held][5] = now + ttl
    return {1, tonumber(holders[held][3]), mark and mark[1]}, true
  end
  local at = indexOf(queue, token)
  local ahead = overtake and 0 or (at and at - 1 or #queue)
  local free = fits(mode, permits)
  if free and ahead == 0 then
    look()
    granted, wakes = true, true
    local first = max(fence + 1, us)
    holders[#holders + 1] = {token, mode, digits(first), fences, now + ttl, owner, about}
    fence = first + fences - 1
    if at then table.remove(queue, at) end
    return {1, first, mark and mark[1]}, true
  end
  local soonest = math.huge
  if free then
    for j = 1, ahead do soonest = math.min(soonest, queue[j][4]) end
  else
    for j = 1, #holders do soonest = math.min(soonest, holders[j][5]) end
  end
  if place >= 0 then
    local offer = round and mode == 'x' and {round, fences, owner, about, ttl}
    -- Whoever has it counts on it from the sending of the request on.
    if offer then look() end
    queue[at or #queue + 1] = {token, mode, permits, now + place, channel, offer or false}
  end
  return {0, max(1, math.ceil(soonest - now))}, place >= 0
end
`
