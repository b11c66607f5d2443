#!lua flags=no-writes
-- Finds events, newest first, in the smallest index that has all of them. Beyond the seq up to
-- which the indexes are complete (field `events` of hg:indexed), that is the list of all: an
-- earlier release may have accepted some.
-- ARGV   query (JSON; what an event must meet, absent for any: source, type, statuses (a list),
--        rule, outcome, since and until (unix ms; not `until` itself)), cursor ('' for the newest,
--        else only events before this seq), limit (the most to find), effort (the most entries to
--        look at)
-- Reply  {cursor of those that follow or '', {source:id, seq, type ...} of each event found}
-- Keeps  reads only.
--- @include "event_indexes"
--- @include "index_walk"
local query, cursor, limit, effort = unpack(ARGV)
query, limit, effort = cjson.decode(query), tonumber(limit), tonumber(effort)

local statuses = query.statuses and index_walk.set_of(query.statuses)

-- The indexes of some statuses; nil if one of them has none.
local function status_indexes()
  local indexes = {}
  for status in pairs(statuses) do indexes[#indexes + 1] = 'hg:events:status:' .. status end
  return not statuses.accepted and indexes or nil
end

local function applicable_indexes()
  local groups, by_status = {{'hg:events'}}, statuses and status_indexes()
  if by_status then groups[#groups + 1] = by_status end
  if query.type then groups[#groups + 1] = {'hg:events:type:' .. query.type} end
  if query.outcome and query.outcome ~= 'matched' then
    groups[#groups + 1] = {'hg:events:outcome:' .. query.outcome}
  end
  return index_walk.smallest(groups)
end

-- Whether the rule that is asked for, or else any, says what is asked for.
local function notes_meet(notes)
  if query.rule and not string.find(notes, query.rule, 1, true) then return false end
  local outcomes = event_indexes.outcomes_by_rule(notes)
  if query.rule and not outcomes[query.rule] then return false end
  if not query.outcome or query.outcome == 'no_rule_matched' then return true end
  if query.rule then return outcomes[query.rule] == query.outcome end
  for _, outcome in pairs(outcomes) do
    if outcome == query.outcome then return true end
  end
  return false
end

local function made_no_job(status, notes)
  return status == 'accepted' and event_indexes.listed_outcomes(notes).no_rule_matched
end

local function event_meets(event_type, status, received, notes)
  if query.type and event_type ~= query.type then return false end
  if statuses and not statuses[status] then return false end
  if query.since and tonumber(received) < query.since then return false end
  if query['until'] and tonumber(received) >= query['until'] then return false end
  if query.outcome == 'no_rule_matched' and not made_no_job(status, notes) then return false end
  return not (query.rule or query.outcome) or notes_meet(notes)
end

local function created_of(member)
  return tonumber(redis.call('HGET', 'hg:event:' .. member, 'received') or 0)
end

local found, compared = {}, 0
local prefix = query.source and query.source .. ':' or ''

local function visit(member, seq)
  -- The names of sources have no colon.
  if string.sub(member, 1, #prefix) ~= prefix then return false end
  local event_type, status, received, notes = unpack(redis.call('HMGET', 'hg:event:' .. member,
    'type', 'status', 'received', 'notes'))
  if event_type and event_meets(event_type, status, received, notes) then
    for _, value in ipairs({member, seq, event_type}) do found[#found + 1] = value end
  end
  compared = compared + 1
  return #found == 3 * limit or compared * index_walk.RECORD_EFFORT >= effort
end

local function find(before, after)
  local indexed_upto = tonumber(redis.call('HGET', 'hg:indexed', 'events') or 0)
  local stopped, left = '', effort
  if before > indexed_upto + 1 then
    local last = math.max(after, indexed_upto + 1)
    stopped, left = index_walk.walk({'hg:events'}, before, last, left, visit)
  end
  if stopped ~= '' then return stopped end
  before = math.min(before, indexed_upto + 1)
  return (index_walk.walk(applicable_indexes(), before, after, left, visit))
end

return {find(index_walk.seq_bounds('hg:events', cursor, query, created_of)), found}
