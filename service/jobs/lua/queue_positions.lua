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

-- What a sub-queue's jobs have in common.
local function read_sub_queue(account, sub_queue)
  local why, till = blocked_by(account, load_account(account), sub_queue, now)
  local from = why and math.max(now, till) or now + TURN_MS
  if till == 0 then from = now + CONF.recheck end
  local limits = {}
  for _, limit in ipairs(CHARGED_LIMITS[sub_queue] or {}) do
    local own = config_of(account).limits[limit]
    local per_hour, per_day = budgets_of(account, limit, now)
    if own then
      limits[#limits + 1] = {gap = (own.gap[1] + own.gap[2]) / 2, hour = per_hour, day = per_day}
    end
  end
  return {why = why or 'turn', from = from, limits = limits}
end

-- Many jobs may be in one sub-queue.
local known = {}

local function cached_sub_queue(account, sub_queue)
  local key = account .. ':' .. sub_queue
  known[key] = known[key] or read_sub_queue(account, sub_queue)
  return known[key]
end

local function spacing(limits, place)
  local slot = TURN_MS
  for _, limit in ipairs(limits) do
    slot = math.max(slot, limit.gap, place >= limit.hour and HOUR / limit.hour or 0,
      place >= limit.day and DAY / limit.day or 0)
  end
  return slot
end

local function position(id, account, sub_queue, kind)
  if sub_queue == '' then return {} end
  local place = redis.call('ZRANK', queue_key(account, sub_queue), id)
  if not place then return {} end
  local shared = cached_sub_queue(account, sub_queue)
  local at = shared.from + place * spacing(shared.limits, place)
  local export = READ_KINDS[kind] == 'walk' and load_job(id)
  local ends = export and estimate_export_end(export, at, now) or 0
  return {shared.why, digits(at), place, digits(ends)}
end

local positions = {}
for id, account, sub_queue, kind in argument_groups(ARGV, 1, 4) do
  positions[#positions + 1] = position(id, account, sub_queue, kind)
end
return positions
