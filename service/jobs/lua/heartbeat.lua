#!lua flags=allow-oom
-- The pulse: renews what this process holds, then does what is due for anybody.
-- ARGV   1 the most of each kind to do in one call  then triples: id, owner, fence
-- Reply  {ids that are no longer ours, how many of the rest were done, ms until the next is due
--        ('' where nothing waits)}
-- Keeps  every job and delivery that is not ended is reachable: a lapsed claim, a due time, a
--        lost wake-up, an unclaimed turn and a door that opens each lead to a new wake-up here.
local now, most = clock(), tonumber(ARGV[1])
local lost, done = {}, 0

local function is_delivery(id) return string.sub(id, 1, 4) == 'dlv_' end

local function renew(id, owner, fence)
  local key = (is_delivery(id) and 'hg:dlv:' or 'hg:job:') .. id
  local held = redis.call('HMGET', key, 'owner', 'fence', 'lease', 'account')
  if held[1] ~= owner or held[2] ~= fence or tonumber(held[3]) <= now then
    lost[#lost + 1] = id
    return
  end
  redis.call('HSET', key, 'lease', digits(now + CONF.lease), 'renewed', digits(now))
  redis.call('ZADD', 'hg:leases', now + CONF.lease, id)
  if held[4] and redis.call('GET', 'hg:acct:' .. held[4] .. ':turn') == id then
    redis.call('ZADD', 'hg:turns', now + CONF.lease, held[4])
  end
end

local function each_due(index, act)
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', index, '-inf', now, 'LIMIT', 0, most)) do
    redis.call('ZREM', index, id)
    act(id)
    done = done + 1
  end
end

local function ring_delivery(id)
  local key = 'hg:dlv:' .. id
  local status, seq = unpack(redis.call('HMGET', key, 'status', 'seq'))
  if status == 'delivering' then
    redis.call('HSET', key, 'status', 'pending', 'owner', '', 'lease', 0, 'next_at', digits(now))
    redis.call('ZREM', 'hg:dlvs:status:delivering', id)
    redis.call('ZADD', 'hg:dlvs:status:pending', seq, id)
  end
  if status == 'delivering' or status == 'pending' then ring(id, 'delivery', now) end
end

local function reclaim(id)
  if is_delivery(id) then return ring_delivery(id) end
  local job = load_job(id)
  if not job then return end
  if job.status == 'running' or job.status == 'sending' then lapse(job, now, 'pulse') end
end

-- Whose time has come stands in the line again, so that it goes by priority and wakes nobody
-- who could not go; the turn is then given where nobody has it.
local lined = {}

local function line_up_again(job)
  stand(job, now, 'pulse', 'turn')
  lined[job.account] = true
end

local function promote(id)
  if is_delivery(id) then return ring_delivery(id) end
  local job = load_job(id)
  if not job then return end
  if job.status == 'waiting' then
    line_up_again(job)
  elseif job.status == 'scheduled' or job.status == 'held' then
    enter(job, now, 'pulse', 'due')
  elseif job.status == 'sending' then
    ring(id, job.kind, now)
  end
end

local function expire_unstarted(id)
  local job = load_job(id)
  if job and allowed(job, 'expired') and job.status ~= 'running' then expire(job, now, 'pulse') end
end

-- A queue of more messages than this is worked off before anything is rung for again.
local LONG_QUEUE = 500

local function is_long(kind)
  if not CONF.actors[kind] then return true end
  return redis.call('LLEN', CONF.namespace .. ':' .. CONF.actors[kind].queue) > LONG_QUEUE
end

-- Rings again, ever more slowly, so that a backlog does not fill the broker with echoes. While
-- the queue is long the message is most likely in it: it is looked at again a lease later, so
-- that one that was lost does ring once the queue is short.
local function ring_again(id)
  local delivery = is_delivery(id)
  local key = (delivery and 'hg:dlv:' or 'hg:job:') .. id
  local status, kind = unpack(redis.call('HMGET', key, 'status', 'kind'))
  if delivery then kind = 'delivery' end
  if status == 'queued' or status == 'pending' or status == 'sending' then
    if is_long(kind) then
      redis.call('ZADD', 'hg:wakes', now + CONF.lease, id)
      return
    end
    local echoes = redis.call('HINCRBY', key, 'echoes', 1)
    ring(id, kind, now)
    redis.call('ZADD', 'hg:wakes', now + CONF.lease * math.min(2 ^ echoes, 32), id)
  end
end

-- A turn whose holder has died goes to the next.
local function pass_on(account)
  local holder = redis.call('GET', 'hg:acct:' .. account .. ':turn')
  if holder and is_called(holder) then
    redis.call('ZADD', 'hg:turns', now + CONF.lease, account)
  else
    grant_next(account, now)
  end
end

-- A replica that was promoted may lack the last moments: a claim, an intent, an end. What may have
-- been at work in them is looked for at Instagram before anything of it is written. What only reads
-- is read again.
local LOST = 60000

local function doubt(id)
  local job = load_job(id)
  if job and not is_newer(job) and not READS[job.kind] and tonumber(job.intent_at) == 0 then
    set(job, {intent_at = now - LOST})
    note(job, now, job.status, 'pulse', 'the store failed over')
  end
end

local function doubt_what_was_next()
  for _, status in ipairs({'queued', 'running'}) do
    for _, id in ipairs(redis.call('ZRANGE', 'hg:jobs:status:' .. status, 0, -1)) do doubt(id) end
  end
  for _, account in ipairs(redis.call('SMEMBERS', 'hg:accts')) do
    for _, lane in ipairs(redis.call('SMEMBERS', 'hg:acct:' .. account .. ':lanes')) do
      local first = redis.call('ZRANGE', line_key(account, lane), 0, 0)[1]
      if first then doubt(first) end
    end
  end
end

-- A store that is merely started again has a new id, and no memory of the one before.
local function notice_failover()
  local info = redis.pcall('INFO', 'replication')
  if type(info) ~= 'string' then return end
  local id, before = string.match(info, 'master_replid:(%x+)'), string.match(info, 'master_replid2:(%x+)')
  local known = redis.call('GET', 'hg:replid')
  if not id or known == id then return end
  redis.call('SET', 'hg:replid', id)
  if known and known == before then doubt_what_was_next() end
end

notice_failover()
for i = 2, #ARGV, 3 do renew(ARGV[i], ARGV[i + 1], ARGV[i + 2]) end
each_due('hg:leases', reclaim)
each_due('hg:due', promote)
for account in pairs(lined) do grant_if_free(account, now) end
each_due('hg:expiry', expire_unstarted)
each_due('hg:wakes', ring_again)
each_due('hg:turns', pass_on)
each_due('hg:alarms', function(account) grant_if_free(account, now) end)
-- An older release beside this one knows no lanes, and leaves no alarm: one account a beat is
-- looked at although nothing rang.
local any = redis.call('SRANDMEMBER', 'hg:accts')
if any and not redis.call('ZSCORE', 'hg:alarms', any) then grant_if_free(any, now) end

-- What is due between two beats gets a beat of its own.
local next_at = math.huge
for _, index in ipairs({'hg:leases', 'hg:due', 'hg:expiry', 'hg:wakes', 'hg:turns', 'hg:alarms'}) do
  local first = redis.call('ZRANGE', index, 0, 0, 'WITHSCORES')[2]
  next_at = math.min(next_at, tonumber(first) or math.huge)
end
return {lost, done, next_at < math.huge and digits(math.max(0, next_at - now)) or ''}
