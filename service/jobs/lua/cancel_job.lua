#!lua flags=allow-oom
-- Cancels a job that has written nothing yet.
-- ARGV   job_id, by (who asks)
-- Reply  ok | asked (it runs, and stops before its write) | late (its write may have happened, or
--        it has ended) | newer (a newer release has written the record) | none
-- Keeps  a job whose write may have happened is never called canceled.
--- @include "finalize"
local job_id, by = unpack(ARGV)
local job = load_job(job_id)
if not job then return 'none' end
if is_newer(job) then return 'newer' end
if job.status == 'running' then
  set_fields(job, {cancel = by})
  return 'asked'
end
if tonumber(job.intent_at) > 0 and not FINAL[job.status] then return 'late' end
if not is_allowed(job, 'canceled') then return job.status == 'canceled' and 'ok' or 'late' end
finalize(job, 'canceled', now_ms(), by, 'requested')
return 'ok'
