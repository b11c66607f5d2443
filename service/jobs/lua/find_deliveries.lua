#!lua flags=no-writes
-- Finds deliveries, newest first, in the smallest index that has all of them.
-- ARGV   query (JSON; what a delivery must meet, absent for any: job, callback, type, statuses,
--        codes (of its last attempt, which failed), since and until (unix ms; not `until` itself)),
--        cursor ('' for the newest, else only deliveries before this seq), limit (the most to
--        find), effort (the most entries to look at)
-- Reply  {cursor of those that follow or '', {id ...} of the deliveries found}
-- Keeps  reads only.
--- @include "deliveries"
--- @include "index_walk"
local query, cursor, limit, effort = unpack(ARGV)
query, limit, effort = cjson.decode(query), tonumber(limit), tonumber(effort)
local STATUSES = {'pending', 'delivering', 'failed', 'delivered'}

-- The statuses that can meet the query: what is delivered has no failure in its last attempt.
local function wanted_statuses()
  local wanted = index_walk.set_of(query.statuses or STATUSES)
  if query.codes then wanted.delivered = nil end
  return wanted
end

local statuses = wanted_statuses()

local function applicable_indexes()
  local by_status = {}
  for status in pairs(statuses) do by_status[#by_status + 1] = 'hg:dlvs:status:' .. status end
  return #by_status == #STATUSES and {'hg:dlvs'} or index_walk.smallest({by_status, {'hg:dlvs'}})
end

local function created_of(id)
  return tonumber(redis.call('HGET', 'hg:dlv:' .. id, 'created') or 0)
end

local function last_code(id)
  local attempt = redis.call('LINDEX', 'hg:dlvlog:' .. id, -1)
  return attempt and cjson.decode(attempt).code
end

local function has_code(id)
  local code = last_code(id)
  for _, wanted in ipairs(query.codes) do
    if code == wanted then return true end
  end
  return false
end

local function delivery_meets(id, callback, event_type, status, created)
  if query.callback and callback ~= query.callback then return false end
  if query.type and event_type ~= query.type then return false end
  if not statuses[status] then return false end
  if query.since and created < query.since then return false end
  if query['until'] and created >= query['until'] then return false end
  return not query.codes or has_code(id)
end

local found, compared = {}, 0

local function visit(id)
  local callback, event_type, status, created = unpack(redis.call('HMGET', 'hg:dlv:' .. id,
    'endpoint', 'type', 'status', 'created'))
  if status and delivery_meets(id, callback, event_type, status, tonumber(created)) then
    found[#found + 1] = id
  end
  compared = compared + 1
  return #found == limit or compared * index_walk.RECORD_EFFORT >= effort
end

-- A job has one delivery a run.
local function walk_runs(job_id, before)
  for job_run = tonumber(redis.call('HGET', 'hg:job:' .. job_id, 'run') or 0), 1, -1 do
    local id = delivery_id_of({id = job_id}, job_run)
    local seq = redis.call('HGET', 'hg:dlv:' .. id, 'seq')
    if seq and tonumber(seq) < before and visit(id) then return seq end
  end
  return ''
end

local before, after = index_walk.seq_bounds('hg:dlvs', cursor, query, created_of)
local following = query.job and walk_runs(query.job, before) or
  (index_walk.walk(applicable_indexes(), before, after, effort, visit))
return {following, found}
