-- Records that the write is about to happen, and charges it.
-- ARGV   job_id, owner, fence, pk (the recipient's or post's), context (what the write can be
--        recognized by later, or ''), facts (JSON, what the claim found out: {thread: 'old' |
--        'new' | '', username or '', reads, who: keys of the recipient that the job does not
--        have, keys, pk_keys: all keys of the recipient, and those of the pk alone}), process,
--        number, seen, age (its high-water mark, see history.lua)
-- Reply  ok | ask (whether the recipient's thread exists must be looked up first) | lost |
--        canceled | expired | held | waiting | refused (the job has failed); only `ok` may be
--        followed by the write
-- Keeps  no write without a live claim and a recorded intent, nor while anything blocks it, nor to
--        a user who must not be written to; the budget is charged first; the lease begins anew.
--- @include "suppression"
--- @include "audit_log"
--- @include "people"
--- @include "finalize"
local job_id, owner, fence, pk, context, facts, process, number, seen, age = unpack(ARGV)
local job, now = load_job(job_id), now_ms()
history.compare_server(now)
history.raise_mark(process, number, seen, age, now)
if not is_claimed_by(job, owner, fence) or job.status ~= 'running' or
    tonumber(job.lease) <= now then
  return 'lost'
end
local found = cjson.decode(facts)
charge_reads(job, found.reads, now)

local function ended(outcome)
  count('attempt', job.kind, outcome)
  return outcome
end

if job.cancel ~= '' then
  finalize(job, 'canceled', now, job.cancel, 'requested')
  return ended('canceled')
end
if is_expired(job, now) then
  expire(job, now, owner)
  return ended('expired')
end

local function refuse(code, failure)
  set_fields(job, {pk = pk})
  audit(now, 'refuse', code, owner, job.account, job)
  finalize(job, 'failed', now, owner, code, nil, failure)
  ended('failed')
  return 'refused'
end

if job.kind == 'dm' then
  local username = found.username ~= '' and found.username or nil
  if is_suppressed(job.account, job.to, found.keys, 'pk:' .. pk, username) then
    return refuse('recipient_suppressed', SUPPRESSED_ERROR)
  end
  local earlier = recent_duplicate(job, pk, found.pk_keys)
  if earlier then
    return refuse('recipient_repeated', '{"code":"recipient_repeated","message":"The recipient' ..
      ' already got this within pacing.repeat_days, from ' .. earlier .. '.","retryable":false}')
  end
end

-- A DM that opens a thread has a budget of its own.
local function is_thread_known()
  if job.kind ~= 'dm' then return true end
  local known = found.thread
  if known == '' and redis.call('EXISTS', thread_key(job.account, pk)) == 1 then known = 'old' end
  if known == '' then known = job.thread or '' end
  if known ~= '' then job.thread = known end  -- stored with the intent
  return known ~= ''
end

if not is_thread_known() then return 'ask' end
local why, till = blocked_by(job.account, load_account(job.account), sub_queue_of(job), now)
-- History may have been lost since the claim: then the next one looks for the write first.
if not why and history.must_look_first(job, now) then why, till = 'history_lost', now end
if why then
  set_fields(job, {attempts = math.max(0, job.attempts - 1), thread = job.thread})
  audit(now, till == 0 and 'hold' or 'wait', why, owner, job.account, job)
  if till == 0 then hold(job, why, now, owner) else enqueue_waiting(job, now, owner, why) end
  release_turn(job, now)
  return ended(till == 0 and 'held' or 'waiting')
end
charge_call(job, now)
remember_recipient(job, pk)
redis.call('ZADD', 'hg:leases', now + CONF.lease, job.id)
redis.call('ZADD', 'hg:turns', now + CONF.lease, job.account)
transition(job, 'sending', now, owner, 'intent', {lease = now + CONF.lease, renewed = now,
  intent_at = now, pk = pk, context = context, misses = 0, looks = 0, writing = job.writing,
  charged = job.fence, thread = job.thread, doubt = '', who = index_persons(job, found.who)})
history.remember_token(job, context, now)
audit(now, 'send', '', owner, job.account, job)
return 'ok'
