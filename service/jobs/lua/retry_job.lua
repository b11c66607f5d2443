-- Opens the next run of a failed or uncertain job.
-- ARGV   job_id, by (who asks), address (where that came from, '' for none)
-- Reply  ok | refused (neither failed nor uncertain) | empty (rejected at creation: it has no
--        recipient) | gone (its text, or the rows of an export, are no longer kept) | photo_gone
--        (its photo was uploaded and is no longer kept) | newer (a newer release has written the
--        record) | none
-- Keeps  the same job and the same write token: an uncertain job is verified before it writes; a
--        follower export goes on from its last page.
--- @include "audit_log"
--- @include "finalize"
local job_id, by, address = unpack(ARGV)
local job, now = load_job(job_id), now_ms()
if not job then return 'none' end
if is_newer(job) then return 'newer' end
if not RETRYABLE[job.status] then return 'refused' end
if job.to == '' and job.post == '' and job.kind ~= 'report' then return 'empty' end
local text = 'hg:jobtext:' .. job.id
if not READ_KINDS[job.kind] and redis.call('EXISTS', text) == 0 then return 'gone' end
if is_follower_export(job) and not reopen_export(job) then return 'gone' end
-- A photo that came by URL is fetched again.
if job.photo and redis.call('STRLEN', text) == 0 then return 'photo_gone' end
freeze_payload(job)
redis.call('PERSIST', text)
redis.call('ZREM', 'hg:retention', job.id)
set_fields(job, {run = job.run + 1, attempts = 0, misses = 0, looks = 0, strikes = 0, refusals = 0,
  resends = 0, started = 0, finished = 0, result = '', error = '', cancel = '', expires = 0})
audit(now, 'retry', '', by, job.account, job, address)
requeue_or_grant(job, now, by, 'retry')
return 'ok'
