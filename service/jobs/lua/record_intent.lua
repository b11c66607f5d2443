-- Records that the write is about to happen, and charges it.
-- ARGV   1 job id  2 owner  3 fence  4 the recipient's or post's pk  5 what of the job's write
--        can be recognised by later (client_context or '')
--        6 what was found out (JSON): {thread: 'old' | 'new' | '', username or '', reads made}
-- Reply  ok | ask (whether the recipient's thread exists must be found out first) | lost |
--        canceled | expired | held | waiting | refused (it has failed); only `ok` may be followed
--        by the write
-- Keeps  no write without a live claim and a recorded intent, nor past a closed door, nor to
--        somebody who is not to be written to; the budget is charged first; the lease begins anew.
local job = load_job(ARGV[1])
local now = clock()
if not job or job.owner ~= ARGV[2] or job.fence ~= ARGV[3] or job.status ~= 'running' or
    tonumber(job.lease) <= now then
  return 'lost'
end
local found = cjson.decode(ARGV[6])
charge_reads(job, found.reads, now)

local function ends(outcome)
  count('attempt', job.kind, outcome)
  return outcome
end

if job.cancel ~= '' then
  finalize(job, 'canceled', now, job.cancel, 'asked to')
  return ends('canceled')
end
if expired(job, now) then
  expire(job, now, ARGV[2])
  return ends('expired')
end

local function refuse(code, failure)
  set(job, {pk = ARGV[4]})
  audit(now, 'refuse', code, ARGV[2], job.account, job)
  finalize(job, 'failed', now, ARGV[2], code, nil, failure)
  ends('failed')
  return 'refused'
end

if job.kind == 'dm' then
  local username = found.username ~= '' and found.username or nil
  if is_suppressed(job.account, job.to, 'pk:' .. ARGV[4], username) then
    return refuse('recipient_suppressed', SUPPRESSED)
  end
  local earlier = repeated(job, ARGV[4])
  if earlier then
    return refuse('recipient_repeated', '{"code":"recipient_repeated","message":"The recipient has' ..
      ' had this within pacing.repeat_days, from ' .. earlier .. '.","retryable":false}')
  end
end

-- A DM that opens a thread has a budget of its own.
local function knows_thread()
  if job.kind ~= 'dm' then return true end
  local known = found.thread
  if known == '' and redis.call('EXISTS', thread_key(job.account, ARGV[4])) == 1 then known = 'old' end
  if known == '' then known = job.thread or '' end
  if known ~= '' then job.thread = known end  -- written with the intent
  return known ~= ''
end

if not knows_thread() then return 'ask' end
local why, till = door(job.account, account_of(job.account), lane_of(job), now)
if why then
  set(job, {attempts = math.max(0, job.attempts - 1), thread = job.thread})
  audit(now, till == 0 and 'hold' or 'wait', why, ARGV[2], job.account, job)
  if till == 0 then hold(job, why, now, ARGV[2]) else stand(job, now, ARGV[2], why) end
  leave_turn(job, now)
  return ends(till == 0 and 'held' or 'waiting')
end
begin_write(job, now)
remember_recipient(job, ARGV[4])
redis.call('ZADD', 'hg:leases', now + CONF.lease, job.id)
redis.call('ZADD', 'hg:turns', now + CONF.lease, job.account)
move(job, 'sending', now, ARGV[2], 'intent', {lease = now + CONF.lease, renewed = now, intent_at = now,
  pk = ARGV[4], context = ARGV[5], misses = 0, looks = 0, writing = job.writing, charged = job.fence,
  thread = job.thread})
audit(now, 'send', '', ARGV[2], job.account, job)
return 'ok'
