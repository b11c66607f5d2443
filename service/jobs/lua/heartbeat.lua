#!lua flags=allow-oom
-- Renews the leases of this process, then does what is due for any process.
-- ARGV   limit (the most entries of each index to do), durable (1 if each command is on disk
--        before its reply, else 0), process, number, seen, age (its high-water
--        mark, see history.lua), then the claims: id, owner, fence
-- Reply  {ids of claims that are lost, how many entries were done, ms until the next is due ('' for
--        none), the loss of history that jobs are compared with: {epoch, cause, ms that are
--        missing at most}, empty for none, an event (source:id) whose jobs somebody else has not
--        created in time, or ''}
-- Keeps  every unended job and delivery is reachable: an expired lease, a due time, a lost wake-up,
--        an unclaimed turn and a sub-queue that opens each lead to a new wake-up here.
--- @include "arguments"
--- @include "clock_steps"
--- @include "photos"
--- @include "finalize"
--- @include "operations"
local limit, durable, process, number, seen, age = unpack(ARGV, 1, 6)
local FIRST_CLAIM = 7
local now = now_ms()
local lost, done = {}, 0

local function record_key(id) return (is_delivery(id) and 'hg:dlv:' or 'hg:job:') .. id end

local function renew(id, owner, fence)
  local key = record_key(id)
  local held = redis.call('HMGET', key, 'owner', 'fence', 'lease', 'account', 'status')
  if held[1] ~= owner or held[2] ~= fence or tonumber(held[3]) <= now then
    lost[#lost + 1] = id
    return
  end
  redis.call('HSET', key, 'lease', digits(now + CONF.lease), 'renewed', digits(now))
  -- A job whose photo is fetched stays where waiting jobs are.
  redis.call('ZADD', held[5] == 'waiting' and 'hg:due' or 'hg:leases', now + CONF.lease, id)
  if held[4] and turn_holder(held[4]) == id then
    redis.call('ZADD', 'hg:turns', now + CONF.lease, held[4])
  end
end

local function each_due(index, act)
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', index, '-inf', now, 'LIMIT', 0, limit)) do
    redis.call('ZREM', index, id)
    act(id)
    done = done + 1
  end
end

-- Whether a due entry belongs to a newer release. It is due again a lease later, when whoever looks
-- may be of that release.
local function is_left_to_newer(index, id)
  if not is_newer({v = redis.call('HGET', record_key(id), 'v')}) then return false end
  redis.call('ZADD', index, now + CONF.lease, id)
  return true
end

-- Does what is due of jobs and deliveries.
local function each_record_due(index, act)
  each_due(index, function(id)
    if not is_left_to_newer(index, id) then act(id) end
  end)
end

local function notify_delivery(id)
  local key = 'hg:dlv:' .. id
  local status, seq = unpack(redis.call('HMGET', key, 'status', 'seq'))
  if status == 'delivering' then
    redis.call('HSET', key, 'status', 'pending', 'owner', '', 'lease', 0, 'next_at', digits(now))
    redis.call('ZREM', 'hg:dlvs:status:delivering', id)
    redis.call('ZADD', 'hg:dlvs:status:pending', seq, id)
  end
  if status == 'delivering' or status == 'pending' then notify_worker(id, 'delivery', now) end
end

local function reclaim(id)
  if is_delivery(id) then return notify_delivery(id) end
  local job = load_job(id)
  if not job then return end
  if job.status == 'running' or job.status == 'sending' then expire_lease(job, now, 'heartbeat') end
end

-- While a queue has more messages than this, no wake-up is repeated.
local LONG_QUEUE = 500

local function is_long(actor)
  return redis.call('LLEN', CONF.namespace .. ':' .. actor.queue) > LONG_QUEUE
end

-- That the photo is still to be fetched is no news.
local QUIET_WAITS = {photo = true, store_full = true}

-- A photo is fetched again when its worker has died or its next attempt is due. A wake-up that
-- nobody claimed is repeated, as in `notify_again`.
local function promote_fetch(job)
  if job.owner ~= '' then
    count('attempt', job.kind, 'lapsed')  -- the counter's stored name (stored_names.py)
    await_photo(job, now, 'heartbeat', 'lease expired')
  elseif not QUIET_WAITS[job.wait_reason] then
    await_photo(job, now, 'heartbeat', 'photo')
  elseif is_long(CONF.photo_actor) then
    redis.call('ZADD', 'hg:due', now + CONF.lease, job.id)
  else
    set_fields(job, {wait_until = 0, echoes = job.echoes + 1})
    notify_fetcher(job, now)
  end
end

-- A waiting job that is due is queued again, so that it goes by priority and wakes no worker in
-- vain. The turn is granted once all of them are queued.
local queued_accounts = {}

local function promote(id)
  if is_delivery(id) then return notify_delivery(id) end
  local job = load_job(id)
  if not job then return end
  if job.status == 'waiting' and lacks_photo(job) then
    promote_fetch(job)
  elseif job.status == 'waiting' then
    enqueue_waiting(job, now, 'heartbeat', 'turn')
    queued_accounts[job.account] = true
  elseif job.status == 'scheduled' or job.status == 'held' then
    requeue_or_grant(job, now, 'heartbeat', 'due')
  elseif job.status == 'sending' then
    notify_worker(id, job.kind, now)
  end
end

local function expire_unstarted(id)
  local job = load_job(id)
  if job and is_allowed(job, 'expired') and job.status ~= 'running' then
    expire(job, now, 'heartbeat')
  end
end

-- Sends another wake-up, each time later, so that a backlog does not fill the broker with copies.
-- While the queue is long the message is most likely in it. Then this looks again a lease later,
-- so that one that was lost is repeated once the queue is short.
local function notify_again(id)
  local key = record_key(id)
  local status, kind, v = unpack(redis.call('HMGET', key, 'status', 'kind', 'v'))
  if is_delivery(id) then kind = 'delivery' end
  if status ~= 'queued' and status ~= 'pending' and status ~= 'sending' then return end
  if not CONF.actors[kind] or is_long(CONF.actors[kind]) then
    redis.call('ZADD', 'hg:wakes', now + CONF.lease, id)
    return
  end
  notify_worker(id, kind, now)
  if is_newer({v = v}) then return end
  local notify_count = redis.call('HINCRBY', key, 'echoes', 1)
  redis.call('ZADD', 'hg:wakes', now + CONF.lease * math.min(2 ^ notify_count, 32), id)
end

-- A turn whose holder has died goes to the next job.
local function pass_on_turn(account)
  local holder = turn_holder(account)
  if holder and awaits_claim(holder) then
    redis.call('ZADD', 'hg:turns', now + CONF.lease, account)
  else
    grant_turn(account, now)
  end
end

local is_mending = clock_steps.follow(now)
history.follow_clock(now)
history.compare_server(now)
history.raise_mark(process, number, seen, age, now)
history.mark_beat(durable, now)
for id, owner, fence in argument_groups(ARGV, FIRST_CLAIM, 3) do renew(id, owner, fence) end
each_record_due('hg:leases', reclaim)
each_record_due('hg:due', promote)
for account in pairs(queued_accounts) do grant_if_free(account, now) end
each_record_due('hg:expiry', expire_unstarted)
each_due('hg:wakes', notify_again)
each_due('hg:turns', pass_on_turn)
each_due('hg:alarms', function(account) grant_if_free(account, now) end)
-- An older release beside this one may leave an account without an entry in hg:alarms, so each
-- heartbeat looks at one account that has none.
local any = redis.call('SRANDMEMBER', 'hg:accts')
if any and not redis.call('ZSCORE', 'hg:alarms', any) then grant_if_free(any, now) end
-- So that a newer release soon finds what others have stepped over. They look at it in vain.
local stepped_over = redis.call('SRANDMEMBER', 'hg:newer')
if stepped_over then
  redis.call('SREM', 'hg:newer', stepped_over)
  grant_if_free(stepped_over, now)
end

-- Who accepted an event creates all its jobs (deferred_jobs.lua), unless it has died meanwhile. Who
-- gets this reply has a lease to do so.
local function abandoned_event()
  local event, since = unpack(redis.call('ZRANGE', 'hg:unfinished', 0, 0, 'WITHSCORES'))
  if not event or tonumber(since) > now - CONF.lease and tonumber(since) <= now then return '' end
  redis.call('ZADD', 'hg:unfinished', now, event)
  return event
end

operations.wake_abandoned(now)

-- What is due before the next regular heartbeat gets a heartbeat of its own.
local next_at = is_mending and now or math.huge
for _, index in ipairs({'hg:leases', 'hg:due', 'hg:expiry', 'hg:wakes', 'hg:turns', 'hg:alarms'}) do
  local first = redis.call('ZRANGE', index, 0, 0, 'WITHSCORES')[2]
  next_at = math.min(next_at, tonumber(first) or math.huge)
end
return {lost, done, next_at < math.huge and digits(math.max(0, next_at - now)) or '',
  history.current_loss(now), abandoned_event()}
