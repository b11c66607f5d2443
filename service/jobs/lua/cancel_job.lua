#!lua flags=allow-oom
-- Cancels a job that has written nothing yet.
-- ARGV   job_id, by (who asks), address (where that came from, '' for none)
-- Reply  ok | asked | late | newer | none: see `may_cancel` in job_actions.lua
-- Keeps  a job whose write may have happened is never called canceled.
--- @include "job_actions"
local job_id, by, address = unpack(ARGV)
local job = load_job(job_id)
local requester = {by = by, address = address, reason = ''}
local answer = job_actions.cancel(job, now_ms(), requester)
if answer ~= 'done' then return answer end
-- Written again, so that a caller who sends again waits until it is durable.
set_fields(job, {status = 'canceled'})
return 'ok'
