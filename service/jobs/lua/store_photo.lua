-- Stores the photo that a worker has fetched for a job, until the job ends; the job enters its
-- account queue, or gets the turn.
-- ARGV   job_id, owner, fence, jpeg, facts (what the API shows of it, JSON), sha256 (of the file;
--        it stands where a DM has its text), encrypted ('1', or '')
-- Reply  ok | lost
-- Keeps  only the holder of the fetch's claim adds to a job. A fetch that succeeds is no attempt.
--        In the queue the job stands by priority and creation, however long its photo took.
--- @include "account_queue"
--- @include "photos"
--- @include "suppression"
local job_id, owner, fence, jpeg, facts, sha256, encrypted = unpack(ARGV)
local job, now = load_job(job_id), now_ms()
if not is_claimed_by(job, owner, fence) or not awaits_photo(job) then return 'lost' end
keep_photo(job.id, jpeg, 0, now)
if encrypted == '1' then set_fields(job, {v = VERSION}) end
set_fields(job, {photo = facts, text_hash = content_hash(sha256),
  attempts = math.max(0, job.attempts - 1)})
requeue_or_grant(job, now, owner, 'photo stored')
return 'ok'
