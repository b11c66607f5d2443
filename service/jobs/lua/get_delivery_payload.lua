#!lua flags=no-writes
-- Builds what the callback of a job's last run said, where the delivery no longer has it.
-- ARGV   job_id, job_run
-- Reply  the payload, or false where the job is gone or has begun another run
-- Keeps  reads only; the bytes are those that were sent.
--- @include "deliveries"
local job_id, job_run = unpack(ARGV)
local job = load_job(job_id)
if not job or job.run ~= job_run or not FINAL[job.status] then return false end
return job_payload(job)
