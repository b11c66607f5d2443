-- The jobs of an event that are too many for one step. The step that accepts the event decides the
-- ids of all of them and keeps what is to be created; create_deferred_jobs.lua creates some at a
-- time. Who accepted the event has it done before the answer, and else a heartbeat does.
--   hg:deferred:{source}:{id}   list of entries (JSON): the jobs that are still to be created
--   hg:unfinished               zset ms -> source:id: since when an event has such entries
--- @include "clock"
--- @include "create_job"

local function deferred_key(member) return 'hg:deferred:' .. member end

local function count_deferred(member) return redis.call('LLEN', deferred_key(member)) end

-- Keeps the jobs of these heads (draft_encoding.py) for later; adds the ids of all to `ids`.
local function defer_jobs(member, heads, ids, now)
  local entries = {}
  for _, head in ipairs(heads) do
    local id, is_new = reserve_id(head, now)
    ids[#ids + 1] = id
    if is_new then entries[#entries + 1] = head.entry end
  end
  for i = 1, #entries, 1000 do
    redis.call('RPUSH', deferred_key(member), unpack(entries, i, math.min(i + 999, #entries)))
  end
  if entries[1] then redis.call('ZADD', 'hg:unfinished', now, member) end
end
