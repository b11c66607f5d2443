-- Stores the photo that a worker has fetched for the job it works on, until the job ends.
-- ARGV   job_id, owner, fence, jpeg, facts (what the API shows of it, JSON), sha256 (of the file;
--        it stands where a DM has its text)
-- Reply  ok | lost
-- Keeps  only the holder of the claim adds to a job, before its write.
--- @include "records"
--- @include "photos"
--- @include "suppression"
local job_id, owner, fence, jpeg, facts, sha256 = unpack(ARGV)
local job, now = load_job(job_id), now_ms()
if not is_claimed_by(job, owner, fence) or job.status ~= 'running' then return 'lost' end
keep_photo(job.id, jpeg, 0, now)
set_fields(job, {photo = facts, text_hash = content_hash(sha256)})
return 'ok'
