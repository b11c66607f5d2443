-- Records that the write is about to happen.
-- ARGV   1 job id  2 owner  3 fence  4 the recipient's or post's pk  5 what of the job's write
--        can be recognised by later (client_context or '')
-- Reply  ok | lost | canceled | expired | held | waiting; only `ok` may be followed by the write
-- Keeps  no write without a live claim and a recorded intent, nor on an account that was paused or
--        put to rest since the claim; the lease begins anew.
local job = load_job(ARGV[1])
local now = clock()
if not job or job.owner ~= ARGV[2] or job.fence ~= ARGV[3] or job.status ~= 'running' or
    tonumber(job.lease) <= now then
  return 'lost'
end
if job.cancel ~= '' then
  finalize(job, 'canceled', now, job.cancel, 'asked to')
  return 'canceled'
end
if expired(job, now) then
  expire(job, now, ARGV[2])
  return 'expired'
end
local to, why, at = closed_door(job, now)
if to then
  set(job, {attempts = math.max(0, job.attempts - 1)})
  if to == 'held' then hold(job, why, now, ARGV[2]) else cool_down(job, why, at, now, ARGV[2]) end
  leave_turn(job, now)
  return to
end
set(job, {lease = now + CONF.lease, renewed = now, intent_at = now, pk = ARGV[4], context = ARGV[5], misses = 0, looks = 0})
redis.call('ZADD', 'hg:leases', now + CONF.lease, job.id)
redis.call('ZADD', 'hg:turns', now + CONF.lease, job.account)
move(job, 'sending', now, ARGV[2], 'intent')
return 'ok'
