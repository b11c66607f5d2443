#!lua flags=allow-oom
-- Cancels a job that has written nothing yet.
-- ARGV   1 job id  2 who asks
-- Reply  ok | asked (it runs; it stops before its write) | late (a write of it may have happened,
--        or it has ended) | none
-- Keeps  a job whose write may have happened is never called canceled.
local job = load_job(ARGV[1])
if not job then return 'none' end
if job.status == 'running' then
  set(job, {cancel = ARGV[2]})
  return 'asked'
end
if tonumber(job.intent_at) > 0 and not FINAL[job.status] then return 'late' end
if not allowed(job, 'canceled') then return job.status == 'canceled' and 'ok' or 'late' end
finalize(job, 'canceled', clock(), ARGV[2], 'asked to')
return 'ok'
