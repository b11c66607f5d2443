-- Creates the next jobs of an event that has more than one step can create.
-- ARGV   event (source:id), limit (the most jobs to create)
-- Reply  how many are left
-- Keeps  each entry makes its job once, whoever calls this and however many do. An entry that
--        cannot be made a job stays the first, and its error is the reply.
--- @include "deferred_jobs"
local event, limit = unpack(ARGV)
local now, created, failure = now_ms(), 0, nil
begin_batch(tonumber(limit))
for _, json in ipairs(redis.call('LRANGE', deferred_key(event), 0, limit - 1)) do
  local entry = cjson.decode(json)
  local done, problem = pcall(create_job, entry, entry.source, now)
  if not done then
    failure = problem
    break
  end
  created = created + 1
end
write_batch()
redis.call('LTRIM', deferred_key(event), created, -1)
if failure then return type(failure) == 'table' and failure or redis.error_reply(failure) end
local left = count_deferred(event)
if left == 0 then redis.call('ZREM', 'hg:unfinished', event) end
return left
