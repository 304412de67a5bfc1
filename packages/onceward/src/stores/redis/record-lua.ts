/**
 * The first part of the transition script: the record in hand, and how it is read and written.
 *
 * A record is one string, so that a transition reads it with one `GET` and writes it with one `SET`:
 *
 * ```
 *  head (98 bytes: numbers, and the lengths of what follows)
 *  │ owner │ fingerprint │ scope and key │ held reason │ history │ steps │ outcome
 *  └──────────── front ──────────────────┘
 * ```
 *
 * Most operations are claimed once and completed. These two steps are kept short: a first claim writes what the caller
 * has sent almost as it came, and its completion appends to it. The last byte tells whether it has ended.
 *
 * ```
 *  P fence │ owner │ lease, retention, onCrash, lengths │ fingerprint │ scope and key │ 0
 *  the same, ended                                                                      │ now, retention, event │ outcome │ 1
 * ```
 *
 * `record-codec.ts` reads the same layout. Times are ms of the server's clock; `us` is the same moment in µs.
 */
export const RECORD_LUA = /* lua */ `
local HEAD = '<c2BBBBI4I4I4dddddddI4I4I4I4I4I4'
local WHOLE = '\\1R'
local RUNNING, DONE, HELD, RELEASED = 1, 2, 3, 4
local st, crash, watched, events, attempt, dups, asks
local fence, born, changed, lease, keep, ends, quiet, lo, lf, li
local front, reason, hist, steps, outcome
-- What is not needed of several values: scripts may have no globals.
local _

local ENTRY = '<dBI4dI2'

-- Reads a record that was claimed once and, at most, completed.
local function loadShort()
  local length, at
  fence, length, at = unpack_('<dI2', raw, 3)
  local owner = sub(raw, at, at + length - 1)
  at = at + length
  local onCrash, leaseMs
  leaseMs, keep, onCrash, lf, li, at = unpack_('<ddBI4I4', raw, at)
  born = math.floor(fence / 1000)
  lo, crash, lease = length, onCrash, born + leaseMs
  front = owner .. sub(raw, at, at + lf + li - 1)
  at = at + lf + li
  hist = pack(ENTRY, born, 1, 1, fence, 0)
  watched, events, attempt, dups, asks, quiet, reason, steps = 0, 1, 1, 0, 0, 0, '', ''
  if at == #raw and byte(raw, at) == 0 then
    st, changed, outcome = RUNNING, born, ''
    ends = crash == 1 and -1 or lease + keep
  else
    local what
    changed, keep, what, at = unpack_('<ddB', raw, at + 1)
    st, events, ends, outcome = DONE, 2, changed + keep, sub(raw, at, -2)
    hist = hist .. pack(ENTRY, changed, what, 1, fence, 0)
  end
end

-- What was no text when it was read with the others may still be of another type, and then this tells.
local function load()
  raw = raw or call('GET', key)
  if not raw then return false end
  local form = sub(raw, 1, 2)
  if form == SHORT then
    if not pcall(loadShort) then error('FOREIGN', 0) end
    return true
  end
  if #raw < 98 or form ~= WHOLE then error('FOREIGN', 0) end
  local lr, lh, ls, at
  _, st, crash, watched, events, attempt, dups, asks, fence, born, changed, lease, keep, ends, quiet,
    lo, lf, li, lr, lh, ls, at = unpack_(HEAD, raw)
  local to = at + lo + lf + li
  if #raw < to + lr + lh + ls - 1 then error('FOREIGN', 0) end
  front = sub(raw, at, to - 1)
  reason = sub(raw, to, to + lr - 1)
  to = to + lr
  hist = sub(raw, to, to + lh - 1)
  to = to + lh
  steps = sub(raw, to, to + ls - 1)
  outcome = sub(raw, to + ls)
  return true
end

local function expired()
  return ends >= 0 and now >= ends
end

local function score()
  if st == DONE then return ceil(ends) end
  if st == RUNNING then return ends < 0 and 3 * KIND + ceil(lease) or KIND + ceil(ends) end
  if st == RELEASED then return 2 * KIND + ceil(ends) end
  return 4 * KIND + changed
end

-- Writes the record where neither its state nor what is due when has changed.
local function write()
  raw = pack(HEAD, WHOLE, st, crash, watched, events, attempt, dups, asks, fence, born, changed, lease, keep, ends,
    quiet, lo, lf, li, #reason, #hist, #steps) .. front .. reason .. hist .. steps .. outcome
  if ends < 0 then call('SET', key, raw) else call('SET', key, raw, 'PXAT', text(ceil(ends) + GRACE)) end
end

-- The first write fails or none does: Redis refuses for want of memory only what comes before it.
local function save()
  write()
  call('ZADD', stateKey, text(score()), member)
end

-- What was not changed is written once more where replicas have to acknowledge it.
local function touch()
  if acknowledged then call('SETRANGE', key, 0, sub(raw, 1, 1)) end
end

local STEP = '<I4c0BBI4c0I4c0'

local function finished()
  if steps == '' then return '' end
  local kept, at, begin = {}, 1, 1
  while at <= #steps do
    local state
    begin = at
    _, state, _, _, _, at = unpack_(STEP, steps, at)
    if state == 2 then kept[#kept + 1] = sub(steps, begin, at - 1) end
  end
  return table.concat(kept)
end

local function lapseHolds()
  if crash == 1 then return true end
  local at = 1
  while at <= #steps do
    local state, holds
    _, state, holds, _, _, at = unpack_(STEP, steps, at)
    if state == 1 and holds == 1 then return true end
  end
  return false
end

-- What may hide an effect never expires.
local function expire()
  if st == HELD or (st == RUNNING and lapseHolds()) then
    ends = -1
  else
    ends = (st == RUNNING and lease or changed) + keep
  end
end

local function event(what, note)
  changed = now
  hist = hist .. pack(ENTRY, now, what, attempt, fence, note and #note + 1 or 0) .. (note or '')
  if events < 16 then
    events = events + 1
  else
    local length = unpack_('<I2', hist, 22)
    hist = sub(hist, 24 + (length > 0 and length - 1 or 0))
  end
  expire()
end

local function lastEvent()
  local at, what, length = 1
  while at <= #hist do
    _, what, _, _, length, at = unpack_(ENTRY, hist, at)
    if length > 0 then at = at + length - 1 end
  end
  return what
end

local function disown()
  front = sub(front, lo + 1)
  lo = 0
end

local function hold(why)
  st, reason, asks, quiet = HELD, why, 0, now
  event(6, why)
end

-- The note of a started step was made by whoever started it.
local function lapse()
  local at, why = 1, 'the claim lapsed without an outcome'
  while at <= #steps do
    local state, note
    _, state, _, _, note, at = unpack_(STEP, steps, at)
    if state == 1 then
      why = note
      break
    end
  end
  disown()
  hold(why)
end

-- Writes a record that has ended, is held or was given back, and wakes those who wait for that.
local function saveAndWake()
  local waited = watched == 1
  watched = 0
  save()
  if waited then call('PUBLISH', key, '') end
end
`
