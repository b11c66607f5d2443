#!lua flags=no-writes
-- Finds jobs, the newest first.
-- ARGV   query (JSON, see job_query.lua), cursor (only jobs with a smaller seq; '' for all), limit
--        (the most jobs), effort (the most entries of indexes to look at)
-- Reply  {cursor of the jobs that follow, '' at the end; the ids of jobs}
-- Keeps  reads only. A job is found by its record; indexes only tell which records are worth a
--        look. One that is not complete yet (hg:indexed, hg:people) serves the jobs up to which it
--        is, and the others are looked for in those that always were.
--- @include "job_query"
local query, cursor, limit, effort = unpack(ARGV)
query, limit, effort = cjson.decode(query), tonumber(limit), tonumber(effort)
-- Entries read at once. Between two readings, what no other index has is stepped over.
local batch = 100
-- What it takes to compare a record, in entries of an index.
local RECORD_EFFORT = 4
-- By how much the clock may have been set back while nobody looked (clock_steps.lua), ms.
local CLOCK_STEP = 600000

-- Whether indexes alone tell which jobs meet the query.
local is_told_by_indexes = not (query.rule or query.source or query.codes or query.metadata or
  query.person)

-- The conditions of a query. Every job that meets one is in one of its indexes.
--   upto           the seq up to which these have all such jobs; nil for all that there are
--   field, wanted  the record's field that tells it as well, where that is faster than the indexes
local conditions = {}

local function add_condition(indexes, upto, field, values)
  conditions[#conditions + 1] = {indexes = indexes, upto = upto, field = field,
    wanted = values and set_of(values)}
end

local function prefixed(prefix, names)
  local indexes = {}
  for i, name in ipairs(names) do indexes[i] = prefix .. name end
  return indexes
end

local function listed_persons(person)
  local upto, key = unpack(redis.call('HMGET', 'hg:people', 'seq', 'key'))
  return key == person.listed_under and tonumber(upto) or 0
end

local function add_conditions()
  if query.statuses then
    add_condition(prefixed('hg:jobs:status:', query.statuses), nil, 'status', query.statuses)
  end
  if query.account then
    add_condition({'hg:jobs:account:' .. query.account}, nil, 'account', {query.account})
  end
  if query.bound_to then
    local indexes = prefixed('hg:jobs:account:', query.bound_to)
    add_condition(indexes, nil, 'account', query.bound_to)
  end
  if query.kind then add_condition({'hg:jobs:kind:' .. query.kind}, nil, 'kind', {query.kind}) end
  if is_told_by_indexes then return end
  local upto = tonumber(redis.call('HGET', 'hg:indexed', 'upto') or 0)
  if query.rule then add_condition({'hg:jobs:rule:' .. query.rule}, upto) end
  if query.source then add_condition({'hg:jobs:source:' .. query.source}, upto) end
  if query.codes then add_condition(prefixed('hg:jobs:code:', query.codes), upto) end
  for _, entry in ipairs(query.metadata or {}) do
    add_condition({job_indexes.metadata_index(entry[1], entry[2])}, upto)
  end
  if query.person then
    add_condition(prefixed('hg:who:', query.person.keys), listed_persons(query.person))
  end
end

local function score_before(seq) return seq == math.huge and '+inf' or '(' .. digits(seq) end

-- Entries of an index as {id, seq}, the newest first: up to `most` from below `before` down to
-- `last`.
local function entries_of(index, before, last, most)
  local flat = redis.call('ZRANGE', index, score_before(before), digits(last), 'BYSCORE', 'REV',
    'LIMIT', 0, most, 'WITHSCORES')
  local entries = {}
  for i = 1, #flat, 2 do entries[#entries + 1] = {flat[i], tonumber(flat[i + 1])} end
  return entries
end

-- The same of several indexes, in which a job may be more than once.
local function merged_entries(indexes, before, last)
  if #indexes == 1 then return entries_of(indexes[1], before, last, batch) end
  local all, merged = {}, {}
  for _, index in ipairs(indexes) do
    for _, entry in ipairs(entries_of(index, before, last, batch)) do all[#all + 1] = entry end
  end
  table.sort(all, function(a, b) return a[2] > b[2] end)
  for _, entry in ipairs(all) do
    local latest = merged[#merged]
    if #merged == batch then break end
    if not latest or latest[2] ~= entry[2] then merged[#merged + 1] = entry end
  end
  return merged
end

local function count_entries(indexes, before, last)
  local entries = 0
  for _, index in ipairs(indexes) do
    entries = entries + redis.call('ZCOUNT', index, digits(last), score_before(before))
  end
  return entries
end

-- The only index that is asked for, if all of its jobs meet the query; else nil.
local function only_index()
  local only, another = conditions[1] or {indexes = {'hg:jobs'}}, conditions[2]
  local is_told = is_told_by_indexes and not another and not query.since and not query['until']
  return is_told and #only.indexes == 1 and only or nil
end

-- The condition of which there are the fewest jobs in a range.
local function rarest(before, last)
  local found = only_index()
  if found then return found end
  found = {indexes = {'hg:jobs'}}
  local fewest = conditions[1] and count_entries(found.indexes, before, last)
  for _, each in ipairs(conditions) do
    local work = not (each.upto and each.upto < before - 1)
      and count_entries(each.indexes, before, last) * #each.indexes
    if work and work <= fewest then found, fewest = each, work end
  end
  return found
end

-- Steps over jobs that do not meet another condition than `base`, because its indexes have none:
-- returns the seq below which the next one may be, or nil for none.
local function step_over(base, before, last)
  for _, each in ipairs(conditions) do
    if each ~= base and not (each.upto and each.upto < before - 1) then
      local newest = -1
      for _, index in ipairs(each.indexes) do
        local entry = entries_of(index, before, last, 1)[1]
        newest = math.max(newest, entry and entry[2] or -1)
      end
      before = math.min(before, newest + 1)
    end
  end
  return before > last and before or nil
end

local function is_in_one(indexes, id)
  for _, index in ipairs(indexes) do
    if redis.call('ZSCORE', index, id) then return true end
  end
  return false
end

-- Whether a job meets a condition, as far as that is told without its record.
local function may_meet(condition, id, seq)
  if condition.field then
    return condition.wanted[redis.call('HGET', 'hg:job:' .. id, condition.field) or '']
  end
  return condition.upto and condition.upto < seq or is_in_one(condition.indexes, id)
end

local spent, found = 0, {}

local function is_met(id, seq, base)
  for _, each in ipairs(conditions) do
    if each ~= base and not may_meet(each, id, seq) then return false end
  end
  if query.since or query['until'] then
    local created = redis.call('HGET', 'hg:job:' .. id, 'created')
    if not created or not is_created_within({created = created}, query) then return false end
  end
  if is_told_by_indexes then return true end
  spent = spent + RECORD_EFFORT
  local job = load_job(id)
  return job and is_found(job, query)
end

-- Looks at entries; returns the seq of the one at which it had to stop, or nil.
local function look_at(entries, base)
  for _, entry in ipairs(entries) do
    local id, seq = unpack(entry)
    spent = spent + 1
    if is_met(id, seq, base) then found[#found + 1] = id end
    if #found == limit or spent >= effort then return seq end
  end
end

-- Looks at the jobs from below `before` down to `last`; returns where it had to stop, or nil.
local function walk(before, last)
  local base = rarest(before, last)
  while before and before > last do
    before = step_over(base, before, last)
    local entries = before and merged_entries(base.indexes, before, last) or {}
    local stopped = look_at(entries, base)
    if stopped then return stopped end
    before = #entries == batch and entries[batch][2] or nil
  end
end

-- The first place in hg:jobs of a job that was created at `ms` or later. Jobs are created in the
-- order of their seqs, but for steps of the clock. `unknown` counts for a job without a record.
local function place_of(ms, unknown)
  local low, high = 0, redis.call('ZCARD', 'hg:jobs')
  while low < high do
    local middle = math.floor((low + high) / 2)
    local id = redis.call('ZRANGE', 'hg:jobs', middle, middle)[1]
    local created = tonumber(redis.call('HGET', 'hg:job:' .. id, 'created') or unknown)
    if created < ms then low = middle + 1 else high = middle end
  end
  return low
end

local function seq_at(place)
  return tonumber(redis.call('ZRANGE', 'hg:jobs', place, place, 'WITHSCORES')[2] or math.huge)
end

-- Between which seqs the jobs were created: from below the first down to the last.
local function range_of_times()
  local before, last = tonumber(cursor) or math.huge, 0
  if not query.since and not query['until'] then return before, last end
  local step = CLOCK_STEP + tonumber(redis.call('HGET', 'hg:clock', 'by') or 0)
  if query.since then last = seq_at(place_of(query.since - step, math.huge)) end
  if query['until'] then
    before = math.min(before, seq_at(place_of(query['until'] + step, -1)))
  end
  return before, last
end

-- Up to which seq all conditions have complete indexes.
local function complete_upto()
  local upto = math.huge
  for _, each in ipairs(conditions) do upto = math.min(upto, each.upto or math.huge) end
  return upto
end

-- The jobs of an event, which are few.
local function entries_of_ids(ids, before, last)
  local entries = {}
  for _, id in ipairs(ids) do
    local seq = tonumber(redis.call('HGET', 'hg:job:' .. id, 'seq') or -1)
    if seq < before and seq >= last then entries[#entries + 1] = {id, seq} end
  end
  table.sort(entries, function(a, b) return a[2] > b[2] end)
  return entries
end

local function find(before, last)
  if query.ids then
    local entries = entries_of_ids(query.ids, before, last)
    local stopped = look_at(entries)
    return entries[1] and stopped ~= entries[#entries][2] and stopped
  end
  local upto = complete_upto()
  local stopped = before > upto + 1 and walk(before, math.max(last, upto + 1))
  return stopped or walk(math.min(before, upto + 1), last)
end

add_conditions()
if only_index() then batch = limit end
local stopped = find(range_of_times())
return {stopped and digits(stopped) or '', unpack(found)}
