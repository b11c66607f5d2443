-- Changes of a job's state.
--- @include "records"
--- @include "timeline"

local function is_allowed(job, to) return ALLOWED[job.status][to] == true end

-- The only place where a job's state changes, together with the fields that change with it.
-- Callers check `is_allowed` before their first write.
local function transition(job, to, now, by, why, fields)
  if not is_allowed(job, to) then error('illegal transition ' .. job.status .. ' -> ' .. to) end
  redis.call('ZREM', 'hg:jobs:status:' .. job.status, job.id)
  redis.call('ZADD', 'hg:jobs:status:' .. to, job.seq, job.id)
  fields = fields or {}
  fields.status = to
  set_fields(job, fields)
  append_timeline(job, now, to, by, why)
end
