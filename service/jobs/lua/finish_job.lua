#!lua flags=allow-oom
-- Ends a claimed job.
-- ARGV   1 job id  2 owner  3 fence  4 final status  5 result (JSON or '')  6 error (JSON or '')  7 why
--        8 what its write is known by at Instagram ('' where nothing else could be taken for it)
--        9 how many reads served it since the last step
-- Reply  ok | lost | taken (what was found belongs to another job: nothing was written)
-- Keeps  only the holder of the claim ends a job; state, delivery, wake-up and the account's
--        next turn are one step.
local job = load_job(ARGV[1])
local now = clock()
if not job or job.owner ~= ARGV[2] or job.fence ~= ARGV[3] or not FINAL[ARGV[4]] or
    not allowed(job, ARGV[4]) then
  return 'lost'
end
if ARGV[8] ~= '' then
  local key = 'hg:written:' .. job.account .. ':' .. ARGV[8]
  if (redis.call('GET', key) or job.id) ~= job.id then return 'taken' end
  redis.call('SET', key, job.id, 'PX', CONF.keep)
end
charge_reads(job, ARGV[9], now)
if job.kind == 'dm' and ARGV[4] == 'succeeded' and job.pk ~= '' then
  redis.call('SET', thread_key(job.account, job.pk), '1', 'PX', digits(CONF.keep))
end
-- A write that failed for certain leaves nothing to look for; one that is uncertain does.
if job.status == 'sending' and ARGV[4] == 'failed' then
  set(job, {intent_at = 0})
  forget_recipient(job)
end
count('attempt', job.kind, ARGV[4])
finalize(job, ARGV[4], now, ARGV[2], ARGV[7], ARGV[5], ARGV[6])
return 'ok'
