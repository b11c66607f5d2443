-- Stores the file of a report and ends its job.
-- ARGV   job_id, owner, fence, file, result (JSON, what the job says of it)
-- Reply  ok | canceled (a person asked for it meanwhile: nothing was stored) | lost
-- Keeps  only the holder of the claim ends the job; a job that succeeded has its file, as long as
--        files are kept.
--- @include "finalize"
local job_id, owner, fence, file, result = unpack(ARGV)
local job, now = load_job(job_id), now_ms()
if not is_claimed_by(job, owner, fence) or job.status ~= 'running' then return 'lost' end
if job.cancel ~= '' then
  count('attempt', job.kind, 'canceled')
  finalize(job, 'canceled', now, job.cancel, 'requested')
  return 'canceled'
end
redis.call('SET', 'hg:report:' .. job.id, file, 'PX', CONF.keep_bodies)
count('attempt', job.kind, 'succeeded')
finalize(job, 'succeeded', now, owner, '', result)
return 'ok'
