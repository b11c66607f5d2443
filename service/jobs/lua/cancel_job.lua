#!lua flags=allow-oom
-- Cancels a job that has written nothing yet.
-- ARGV   job_id, by (who asks), address (where that came from, '' for none)
-- Reply  ok | asked (it runs, and stops before its write) | late (its write may have happened, or
--        it has ended) | newer (a newer release has written the record) | none
-- Keeps  a job whose write may have happened is never called canceled.
--- @include "audit_log"
--- @include "finalize"
local job_id, by, address = unpack(ARGV)
local job = load_job(job_id)
if not job then return 'none' end
if is_newer(job) then return 'newer' end
if job.status == 'running' then
  set_fields(job, {cancel = by})
  audit(now_ms(), 'cancel', '', by, job.account, job, address)
  return 'asked'
end
if tonumber(job.intent_at) > 0 and not FINAL[job.status] then return 'late' end
if job.status == 'canceled' then
  -- Written again, so that a caller who sends again waits until it is durable.
  set_fields(job, {status = 'canceled'})
  return 'ok'
end
if not is_allowed(job, 'canceled') then return 'late' end
local now = now_ms()
finalize(job, 'canceled', now, by, 'requested')
audit(now, 'cancel', '', by, job.account, job, address)
return 'ok'
