#!lua flags=allow-oom
-- Ends a claimed job.
-- ARGV   job_id, owner, fence, status (final), result (JSON or ''), failure (JSON or ''), why (a
--        word for its timeline), written (what its write is known by at Instagram, '' where
--        nothing else could be taken for it), reads (calls that served it since the last step),
--        who (keys of the persons whom its result shows), seen (what its verification lookup has
--        read, '' for none: verification_report.py)
-- Reply  ok | lost | taken (`written` belongs to another job: nothing was changed)
-- Keeps  only the holder of the claim ends a job; state, delivery, wake-up and the account's next
--        turn are one step.
--- @include "suppression"
--- @include "streaks"
--- @include "people"
--- @include "finalize"
local job_id, owner, fence, status, result, failure, why, written, reads, who, seen = unpack(ARGV)
local job, now = load_job(job_id), now_ms()
if not is_claimed_by(job, owner, fence) or not FINAL[status] or not is_allowed(job, status) then
  return 'lost'
end
if written ~= '' then
  local key = 'hg:written:' .. job.account .. ':' .. written
  if (redis.call('GET', key) or job.id) ~= job.id then return 'taken' end
  redis.call('SET', key, job.id, 'PX', CONF.keep)
end
charge_reads(job, reads, now)
if job.kind == 'dm' and status == 'succeeded' and job.pk ~= '' then
  redis.call('SET', thread_key(job.account, job.pk), '1', 'PX', digits(CONF.keep))
end
-- A write that certainly failed leaves nothing to verify; one that is uncertain does.
if job.status == 'sending' and status == 'failed' then
  set_fields(job, {intent_at = 0, checked = job.doubt == '' and job.checked or ''})
  forget_recipient(job)
end
if status == 'succeeded' then end_streaks(job) end
if (who or '') ~= '' then
  set_fields(job, {who = index_persons(job, who)})
  if job.target then trace_persons(who, found_key(job.target)) end
end
if seen ~= '' then set_fields(job, report_fields(seen, now)) end
count('attempt', job.kind, status)
finalize(job, status, now, owner, why, result, failure)
return 'ok'
