#!lua flags=no-writes
-- Tells what the callback of a job's last run said, where the delivery no longer holds it.
-- ARGV   1 job id  2 run
-- Reply  the payload, or false where the job is gone or has begun another run
-- Keeps  reads only; the bytes are those that were sent.
local job = load_job(ARGV[1])
if not job or job.run ~= ARGV[2] or not FINAL[job.status] then return false end
return payload_of(job)
