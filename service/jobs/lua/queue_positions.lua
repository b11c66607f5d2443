#!lua flags=no-writes
-- Tells what waiting jobs wait for.
-- ARGV   for each job: id, account, sub_queue ('' for none), kind
-- Reply  for each job: {reason, until (ms, an estimate), place in its sub-queue from 0, when a
--        follower export may have ended (ms, an estimate; 0 for unknown)}, or {} when it is not in
--        the queue
-- Keeps  reads only.
--- @include "arguments"
--- @include "account_queue"
--- @include "follower_pages"
local now = now_ms()
-- A guess at how long one turn takes.
local TURN_MS = 5000

local function spacing(account, sub_queue, place)
  local slot = TURN_MS
  for _, limit in ipairs(CHARGED_LIMITS[sub_queue] or {}) do
    local own = config_of(account).limits[limit]
    local per_hour, per_day = budgets_of(account, limit, now)
    if own then
      slot = math.max(slot, (own.gap[1] + own.gap[2]) / 2,
        place >= per_hour and HOUR / per_hour or 0, place >= per_day and DAY / per_day or 0)
    end
  end
  return slot
end

-- Many jobs may be in one sub-queue.
local blocked = {}

local function cached_blocked_by(account, sub_queue)
  local key = account .. ':' .. sub_queue
  blocked[key] = blocked[key] or {blocked_by(account, load_account(account), sub_queue, now)}
  return unpack(blocked[key], 1, 2)
end

local function position(id, account, sub_queue, kind)
  if sub_queue == '' then return {} end
  local place = redis.call('ZRANK', queue_key(account, sub_queue), id)
  if not place then return {} end
  local why, till = cached_blocked_by(account, sub_queue)
  local from = why and math.max(now, till) or now + TURN_MS
  if till == 0 then from = now + CONF.recheck end
  local at = from + place * spacing(account, sub_queue, place)
  local export = READ_KINDS[kind] == 'walk' and load_job(id)
  local ends = export and estimate_export_end(export, at, now) or 0
  return {why or 'turn', digits(at), place, digits(ends)}
end

local positions = {}
for id, account, sub_queue, kind in argument_groups(ARGV, 1, 4) do
  positions[#positions + 1] = position(id, account, sub_queue, kind)
end
return positions
