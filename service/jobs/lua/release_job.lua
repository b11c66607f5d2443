#!lua flags=allow-oom
-- Gives a claimed job back unfinished.
-- ARGV   job_id, owner, fence, to (queued | waiting | held | sending), reason (a word for its wait
--        and its timeline), delay (ms until it is due; for held 0 is never; queued is at once),
--        charge (counts: it was an attempt, or, to sending, a verification lookup that found
--        nothing; refused: an attempt that Instagram refused; resend: no verification lookup found
--        its write, which is to be sent again; looked: the lookup that lost history asks for did
--        not find it; failed: a verification lookup that failed; free: it
--        was not the job's doing),
--        effect (JSON, what it means for the account: {hold, note: what to do about it | nil,
--        asks, said: see account_holds.lua | nil} or
--        {cool, kind, ms, again: 'double' | 'widen' | nil}), reads (calls that served it since the
--        last step), sent ('unsent' when its write certainly never left), seen (what its
--        verification lookup has read, '' for none: verification_report.py)
--        Who has fetched its photo in vain gives it back to waiting.
-- Reply  ok | lost | ended (it was canceled or expired meanwhile)
-- Keeps  out of `sending` only when the write is known not to have happened (the caller's word);
--        `sending` to `sending` keeps the intent for a later verification lookup.
--- @include "suppression"
--- @include "account_holds"
--- @include "photos"
--- @include "finalize"
local job_id, owner, fence, to, reason, delay, charge, effect, reads, sent, seen = unpack(ARGV)
local job, now = load_job(job_id), now_ms()
local due = now + delay

-- No job ends here, and only record_intent.lua makes a job `sending`.
local function may_go()
  if to == 'sending' then return job.status == 'sending' end
  if awaits_photo(job) then return to == 'waiting' end
  return (job.status == 'running' or job.status == 'sending') and not FINAL[to] and
    is_allowed(job, to)
end

if not is_claimed_by(job, owner, fence) or not may_go() then return 'lost' end
local effects = cjson.decode(effect)

-- A cooldown that follows the last one closely is longer: `double` up to a day; `widen` is for the
-- whole account and three days.
local function escalate()
  local key, field = account_key(job), 'cools:' .. effects.cool
  local times, last = string.match(redis.call('HGET', key, field) or '0 0', '(%d+) (%d+)')
  local within = effects.again == 'widen' and 7 * DAY or DAY
  times = now - tonumber(last) < within and tonumber(times) or 0
  if effects.again == 'widen' and times > 0 then effects.kind, effects.ms = '*', 3 * DAY end
  if effects.again == 'double' then effects.ms = math.min(effects.ms * 2 ^ times, DAY) end
  -- Counted from its end: that is when the account begins to be trusted again.
  redis.call('HSET', key, field, times + 1 .. ' ' .. digits(now + effects.ms))
end

local function affect_account()
  local key = account_key(job)
  if effects.hold then
    local met = {job = job.id, asks = effects.asks, said = effects.said}
    hold_account(job.account, effects.hold, effects.note or '', owner, now, nil, met)
  end
  if effects.cool then
    if effects.again then escalate() end
    local field, till = 'cool:' .. effects.kind, now + effects.ms
    if till > tonumber(redis.call('HGET', key, field) or 0) then
      redis.call('HSET', key, field, digits(till), 'cool_why:' .. effects.kind, effects.cool,
        'cool_at:' .. effects.kind, digits(now))
      audit(now, 'cooldown', effects.cool, owner, job.account, job)
    end
  end
  redis.call('SADD', 'hg:accts', job.account)
end

-- Leaves an unconfirmed write for a later verification lookup.
local function postpone_verification(fields)
  remove_from_queues(job)
  fields.owner, fields.lease = '', 0
  fields.looks = (job.looks or 0) + (charge == 'failed' and 1 or 0)
  fields.misses = job.misses + (charge == 'counts' and 1 or 0)
  set_fields(job, fields)
  redis.call('ZADD', 'hg:due', due, job.id)
  append_timeline(job, now, 'sending', owner, reason)
end

-- A job whose photo is fetched is waiting already. The photo's origin may be busy for long, and
-- that it is still to be fetched is no news.
local function postpone_fetch()
  remove_from_queues(job)
  set_fields(job, idle_fields(reason, due))
  redis.call('ZADD', 'hg:due', due, job.id)
  if reason ~= 'photo' then append_timeline(job, now, 'waiting', owner, reason) end
end

local function count_attempt(outcome) count('attempt', job.kind, outcome) end

charge_reads(job, reads, now)
affect_account()
local fields = report_fields(seen, now)
settle_call(job, now, sent ~= 'unsent', fields)
if (charge == 'free' or charge == 'looked') and to ~= 'sending' then
  fields.attempts = math.max(0, job.attempts - 1)
end
if to == 'waiting' and (charge == 'counts' or charge == 'refused') then
  fields.strikes = (job.strikes or 0) + 1
end
if charge == 'refused' then fields.refusals = (job.refusals or 0) + 1 end
if charge == 'resend' then fields.resends = (job.resends or 0) + 1 end
if to == 'sending' then
  postpone_verification(fields)
  count_attempt('sending')
  release_turn(job, now)
  return 'ok'
end
if job.status == 'sending' then
  forget_recipient(job)
  fields.intent_at, fields.doubt = 0, ''
  -- What it should have looked for first, it has yet to look for.
  if job.doubt ~= '' and charge ~= 'looked' then fields.checked = '' end
end
set_fields(job, fields)
if awaits_photo(job) then
  postpone_fetch()
  count_attempt(charge == 'free' and 'deferred' or 'waiting')
  return 'ok'
end
if job.cancel ~= '' then
  -- Of a job that was sending it is known now that nothing was written.
  if job.status == 'sending' then set_aside(job, 'waiting', reason, 0, now, owner) end
  finalize(job, 'canceled', now, job.cancel, 'requested')
  count_attempt('canceled')
  return 'ended'
end
if is_expired(job, now) and job.status == 'running' then
  expire(job, now, owner)
  count_attempt('expired')
  return 'ended'
end
count_attempt(to)
-- It is queued in its own order, and may get the turn at once.
if to == 'queued' then
  requeue_or_grant(job, now, owner, reason)
  return 'ok'
end
if to == 'held' and tonumber(delay) == 0 then
  hold(job, reason, now, owner)
elseif to == 'waiting' and effects.cool then
  set_aside(job, 'waiting', reason, 0, now, owner)
  enqueue(job, reason)
else
  set_aside(job, to, reason, due, now, owner)
end
release_turn(job, now)
return 'ok'
