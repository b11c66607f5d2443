-- Opens the next run of a failed or uncertain job.
-- ARGV   job_id, by (who asks), address (where that came from, '' for none)
-- Reply  ok | refused | empty | erased | gone | photo_gone | newer | none: see `may_retry` in
--        job_actions.lua
-- Keeps  the same job and the same write token: an uncertain job is verified before it writes; a
--        follower export goes on from its last page.
--- @include "job_actions"
local job_id, by, address = unpack(ARGV)
return job_actions.retry(load_job(job_id), now_ms(), {by = by, address = address, reason = ''})
