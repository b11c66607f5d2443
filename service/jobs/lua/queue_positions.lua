#!lua flags=no-writes
-- Tells what jobs in line wait for.
-- ARGV   of each job: id, account, lane ('' for none), kind
-- Reply  {reason, until (ms, an estimate), place in its lane from 0, when a walk may have ended (ms,
--        an estimate; 0 where that cannot be told)} for each; {} for one that is not in a line
-- Keeps  reads only.
local now = clock()
-- A guess at one turn.
local TURN = 5000

local function spacing(name, lane, place)
  local slot = TURN
  for _, pace in ipairs(CHARGED[lane] or {}) do
    local own = limits_of(name).paces[pace]
    local per_hour, per_day = most_of(name, pace, now)
    if own then
      slot = math.max(slot, (own.gap[1] + own.gap[2]) / 2,
        place >= per_hour and HOUR / per_hour or 0, place >= per_day and DAY / per_day or 0)
    end
  end
  return slot
end

-- A page may be full of jobs of one lane.
local seen = {}

local function door_of(name, lane)
  local key = name .. ':' .. lane
  seen[key] = seen[key] or {door(name, account_of(name), lane, now)}
  return unpack(seen[key], 1, 2)
end

local function place_of(id, name, lane, kind)
  if lane == '' then return {} end
  local place = redis.call('ZRANK', line_key(name, lane), id)
  if not place then return {} end
  local why, till = door_of(name, lane)
  local from = why and math.max(now, till) or now + TURN
  if till == 0 then from = now + CONF.recheck end
  local comes = from + place * spacing(name, lane, place)
  local walk = READS[kind] == 'walk' and load_job(id)
  local ends = walk and walk_until(walk, comes, now) or 0
  return {why or 'turn', digits(comes), place, digits(ends)}
end

local places = {}
for i = 1, #ARGV, 4 do places[#places + 1] = place_of(unpack(ARGV, i, i + 3)) end
return places
