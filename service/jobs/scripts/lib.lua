-- What every ledger script begins with. scripts.py puts `CONF` (times in ms, queue names) and
-- `ALLOWED` (the transition table of model.py) before it, and one script's body after it.
--
-- Keys
--   hg:seq                       counter: the order of everything
--   hg:event:{source}:{id}       hash, a tombstone that outlives its body
--   hg:eventbody:{source}:{id}   zlib of the raw body, expires by itself
--   hg:events                    zset seq -> source:id; hg:sources the sources it names
--   hg:job:{id}                  hash; hg:jobtext:{id} its text; hg:jobtl:{id} its timeline
--   hg:jobs, hg:jobs:status:{s}, hg:jobs:account:{a}, hg:jobs:kind:{k}    zsets seq -> job id
--   hg:once:{rule}:{hash}        job id made under a business key
--   hg:dlv:{id}                  hash; hg:dlvlog:{id} its attempts
--   hg:dlvs, hg:dlvs:status:{s}  zsets seq -> delivery id
--   hg:due                       zset ms -> id: when to ring for a job or delivery that waits
--   hg:wakes                     zset ms -> id: when to ring again for one nobody claimed
--   hg:leases                    zset ms -> id: when a claim lapses
--   hg:expiry                    zset ms -> job id: when a job is no longer worth doing
--   hg:retention                 zset ms -> id or source:id: when to forget it
--   hg:acct:{a}                  hash: hold, hold_note, hold_since, cool:{kind}, cool_why:{kind}
--   hg:acct:{a}:turn             the job whose turn it is; hg:turns zset ms -> account
--   hg:acct:{a}:line             zset (priority, seq) -> job waiting for its turn
--   hg:acct:{a}:held             zset seq -> job held until somebody resumes the account
--   hg:acct:{a}:cooling          zset seq -> job that waits for a cooldown (and stands in hg:due)
--   hg:acct:{a}:looking          zset seq -> job whose look-up waits until the account may be used
--   hg:accts                     set: every account that was ever held, cooled or resumed
--   hg:written:{a}:{what}        the job whose write something at Instagram is, expires by itself
--   hg:idem:{hash}               hash of one idempotency key, expires by itself
--   {namespace}:{queue}(.msgs)   Dramatiq's own layout (dramatiq/brokers/redis/dispatch.lua)
-- Channel hg:live carries every transition once.

local VERSION = '1'
local TIMELINE_LIMIT = 200
local ATTEMPT_LOG_LIMIT = 100
local PAYLOAD_LIMIT = 20480
-- A job on which workers die does not go round for ever.
local MOST_ATTEMPTS = 50

local FINAL = {succeeded = true, failed = true, canceled = true, expired = true, uncertain = true}

local function clock()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

-- Lua prints large numbers as 1.7e+12; Redis and JSON want digits.
local function digits(n) return string.format('%.0f', n) end

local function now_seq() return redis.call('INCR', 'hg:seq') end

local function load_hash(key)
  local flat = redis.call('HGETALL', key)
  if #flat == 0 then return nil end
  local hash = {}
  for i = 1, #flat, 2 do hash[flat[i]] = flat[i + 1] end
  return hash
end

local function load_job(id)
  local job = load_hash('hg:job:' .. id)
  if job then job.id = id end
  return job
end

-- Unix ms as RFC 3339 UTC (days to civil date: Howard Hinnant's algorithm).
local function rfc3339(ms)
  local seconds = math.floor(ms / 1000)
  local days = math.floor(seconds / 86400)
  local rest = seconds - days * 86400
  local z = days + 719468
  local era = math.floor(z / 146097)
  local doe = z - era * 146097
  local yoe = math.floor((doe - math.floor(doe / 1460) + math.floor(doe / 36524) - math.floor(doe / 146096)) / 365)
  local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))
  local mp = math.floor((5 * doy + 2) / 153)
  local day = doy - math.floor((153 * mp + 2) / 5) + 1
  local month = mp < 10 and mp + 3 or mp - 9
  local year = yoe + era * 400 + (month <= 2 and 1 or 0)
  return string.format('%04d-%02d-%02dT%02d:%02d:%02d.%03dZ', year, month, day,
    math.floor(rest / 3600), math.floor(rest / 60) % 60, rest % 60, ms % 1000)
end

-- Puts one message for `id` on the broker, as `broker.enqueue` would, and notes when to ring again.
-- For a kind of work that only a newer release knows, the note is all: that one rings.
local function ring(id, kind, now)
  redis.call('ZADD', 'hg:wakes', now + CONF.lease, id)
  local actor = CONF.actors[kind]
  if not actor then return end
  local message_id = 'wake-' .. digits(redis.call('INCR', 'hg:wakeseq'))
  local queue = CONF.namespace .. ':' .. actor.queue
  redis.call('HSET', queue .. '.msgs', message_id,
    '{"queue_name":"' .. actor.queue .. '","actor_name":"' .. actor.name .. '","args":["' .. id ..
    '"],"kwargs":{},"options":{"redis_message_id":"' .. message_id .. '"},"message_id":"' ..
    message_id .. '","message_timestamp":' .. digits(now) .. '}')
  redis.call('RPUSH', queue, message_id)
end

local function note(job, now, to, who, why)
  local key = 'hg:jobtl:' .. job.id
  redis.call('RPUSH', key, cjson.encode({digits(now), to, who, why or ''}))
  redis.call('LTRIM', key, -TIMELINE_LIMIT, -1)
end

local function set(job, fields)
  local flat = {}
  for name, value in pairs(fields) do
    if type(value) == 'number' then value = digits(value) end
    job[name] = value
    flat[#flat + 1] = name
    flat[#flat + 1] = value
  end
  redis.call('HSET', 'hg:job:' .. job.id, unpack(flat))
end

-- A record that a newer release has written is left to it: whatever leads to it goes on doing so.
local function is_newer(record) return tonumber(record.v or VERSION) > tonumber(VERSION) end

local function allowed(job, to) return ALLOWED[job.status][to] == true end

-- The only place where a job's state changes. Callers ask `allowed` before their first write.
local function move(job, to, now, who, why)
  if not allowed(job, to) then error('illegal transition ' .. job.status .. ' -> ' .. to) end
  redis.call('ZREM', 'hg:jobs:status:' .. job.status, job.id)
  redis.call('ZADD', 'hg:jobs:status:' .. to, job.seq, job.id)
  set(job, {status = to})
  note(job, now, to, who, why)
  redis.call('PUBLISH', 'hg:live', cjson.encode({id = job.id, status = to, at = digits(now)}))
end

local function account_key(job) return 'hg:acct:' .. job.account end

local function line_score(job) return (9 - job.prio) * 4398046511104 + job.seq end

-- A job that nobody works on any more leaves every index of work.
local function unlist(job)
  redis.call('ZREM', 'hg:due', job.id)
  redis.call('ZREM', 'hg:wakes', job.id)
  redis.call('ZREM', 'hg:leases', job.id)
  redis.call('ZREM', account_key(job) .. ':line', job.id)
  redis.call('ZREM', account_key(job) .. ':held', job.id)
  redis.call('ZREM', account_key(job) .. ':cooling', job.id)
  redis.call('ZREM', account_key(job) .. ':looking', job.id)
end

local function requeue(job, now, who, why)
  unlist(job)
  set(job, {wait_reason = '', wait_until = 0, owner = '', lease = 0, echoes = 0})
  move(job, 'queued', now, who, why)
  ring(job.id, job.kind, now)
end

-- Gives the account's turn to the first in its line, or to nobody. A granted turn that is not
-- claimed lapses with its entry in hg:turns and is granted again.
local function grant_next(account, now)
  local key = 'hg:acct:' .. account
  local first = redis.call('ZRANGE', key .. ':line', 0, 0)[1]
  while first do
    redis.call('ZREM', key .. ':line', first)
    local job = load_job(first)
    if job and (job.status == 'waiting' or job.status == 'sending') then
      redis.call('SET', key .. ':turn', first)
      redis.call('ZADD', 'hg:turns', now + CONF.lease, account)
      if job.status == 'waiting' then
        requeue(job, now, 'line', 'its turn')
      else
        ring(job.id, job.kind, now)
      end
      return
    end
    first = redis.call('ZRANGE', key .. ':line', 0, 0)[1]
  end
  redis.call('DEL', key .. ':turn')
  redis.call('ZREM', 'hg:turns', account)
end

local function leave_turn(job, now)
  if redis.call('GET', account_key(job) .. ':turn') == job.id then grant_next(job.account, now) end
end

local function fragment(value) return (value and value ~= '') and value or 'null' end

-- The frozen bytes of a callback. Strings spliced in are ids and words of ours; what callers
-- sent is JSON already.
local function payload(job, kind, now)
  local function body(result, extra)
    return '{"type":"' .. kind .. '","timestamp":"' .. rfc3339(now) .. '","data":{"job_id":"' ..
      job.id .. '","kind":"' .. job.kind .. '","status":"' .. job.status .. '","attempts":' ..
      job.attempts .. ',"result":' .. result .. extra .. ',"error":' .. fragment(job.error) ..
      ',"metadata":' .. fragment(job.metadata) .. ',"source":' .. job.source .. '}}'
  end
  local whole = body(fragment(job.result), '')
  if #whole <= PAYLOAD_LIMIT then return whole end
  return body('null', ',"result_url":"/jobs/' .. job.id .. '/result"')
end

local function open_delivery(job, now)
  local id = 'dlv_' .. string.sub(job.id, 5) .. '_' .. job.run
  local seq = now_seq()
  local kind = 'job.' .. job.status
  redis.call('HSET', 'hg:dlv:' .. id, 'v', VERSION, 'seq', seq, 'job', job.id, 'run', job.run,
    'endpoint', job.callback, 'type', kind, 'payload', payload(job, kind, now),
    'status', 'pending', 'attempts', 0, 'created', digits(now), 'next_at', digits(now),
    'fence', 0, 'owner', '', 'lease', 0)
  redis.call('ZADD', 'hg:dlvs', seq, id)
  redis.call('ZADD', 'hg:dlvs:status:pending', seq, id)
  ring(id, 'delivery', now)
end

local function remember_until(id, at) redis.call('ZADD', 'hg:retention', at, id) end

-- A final state and its callback are one step: nothing ends without coming through here.
local function finalize(job, to, now, who, why, result, failure)
  unlist(job)
  redis.call('ZREM', 'hg:expiry', job.id)
  set(job, {finished = now, result = result or '', error = failure or '', owner = '', lease = 0,
    wait_reason = '', wait_until = 0, cancel = ''})
  move(job, to, now, who, why)
  redis.call('PEXPIRE', 'hg:jobtext:' .. job.id, CONF.keep_bodies)
  remember_until(job.id, now + CONF.keep)
  if job.callback ~= '' then open_delivery(job, now) end
  leave_turn(job, now)
end

local function expired(job, now) return tonumber(job.expires) > 0 and now >= tonumber(job.expires) end

local function expire(job, now, who)
  finalize(job, 'expired', now, who, 'past expires_at', nil,
    '{"code":"expired","message":"The job was not done before its expires_at.","retryable":false}')
end

-- Sets the job aside until `at`; the pulse rings for it then.
local function wait(job, to, reason, at, now, who)
  unlist(job)
  set(job, {wait_reason = reason, wait_until = at, owner = '', lease = 0})
  move(job, to, now, who, reason)
  if at > 0 then redis.call('ZADD', 'hg:due', at, job.id) end
  -- The alarm of a job that was claimed when it rang is set again.
  if tonumber(job.expires) > 0 then redis.call('ZADD', 'hg:expiry', job.expires, job.id) end
end

-- Sets the job aside for a cooldown, which a person may end sooner.
local function cool_down(job, reason, at, now, who)
  wait(job, 'waiting', reason, at, now, who)
  redis.call('ZADD', account_key(job) .. ':cooling', job.seq, job.id)
end

local function hold(job, reason, now, who)
  wait(job, 'held', reason, 0, now, who)
  redis.call('ZADD', account_key(job) .. ':held', job.seq, job.id)
end

-- What stands in the way of the account's doing this kind of job: nil, or 'held'/'waiting', why, till.
local function closed_door(job, now)
  local account = load_hash(account_key(job)) or {}
  if account.hold then return 'held', account.hold, 0 end
  local why, at = nil, 0
  for _, kind in ipairs({'*', job.kind}) do
    local cool = tonumber(account['cool:' .. kind] or 0)
    if cool > now and cool > at then why, at = account['cool_why:' .. kind], cool end
  end
  return why and 'waiting', why, at
end

-- Takes the job from a claim whose lease is over. A server may still store a write after its
-- sender was killed: the look-up comes when that has settled, counted from the last renewal
-- (which the lease alone does not tell: its holder's may be of another length).
local function lapse(job, now, who)
  if job.status == 'sending' then
    local renewed = tonumber(job.renewed or 0)
    local settled = math.max(job.intent_at, renewed, job.lease - CONF.lease) + CONF.settle
    unlist(job)
    set(job, {owner = '', lease = 0})
    note(job, now, 'sending', who, 'lease lapsed')
    redis.call('ZADD', 'hg:due', math.max(now, settled), job.id)
  elseif job.cancel ~= '' then
    finalize(job, 'canceled', now, job.cancel, 'asked to')
  else
    requeue(job, now, who, 'lease lapsed')
  end
end

-- Inserts one job (see ledger.py, `_entry`). Returns its id: an earlier job's where a business
-- key already has one.
local function create_job(entry, source, now)
  if redis.call('EXISTS', 'hg:job:' .. entry.id) == 1 then return entry.id end
  if entry.once then
    local earlier = redis.call('GET', entry.once)
    if earlier then return earlier end
  end
  local run_at = entry.run_at or now + entry.delay
  local expires = entry.expires_at or (entry.expires and now + entry.expires) or 0
  local job = {id = entry.id, status = run_at > now and 'scheduled' or 'queued', kind = entry.kind,
    account = entry.account, run = '1', attempts = '0', callback = entry.callback,
    metadata = entry.metadata, source = source}
  job.seq = digits(now_seq())
  job.prio = digits(entry.priority)
  set(job, {v = VERSION, seq = job.seq, status = job.status, kind = job.kind,
    account = job.account, run = 1, attempts = 0, callback = job.callback, metadata = job.metadata,
    source = source, prio = job.prio, to = entry.to, post = entry.post, created = now,
    run_at = run_at, expires = expires, started = 0, finished = 0, fence = 0, owner = '', lease = 0,
    wait_reason = '', wait_until = 0, result = '', error = '', cancel = '', intent_at = 0,
    misses = 0, looks = 0, strikes = 0, pk = ''})
  redis.call('SET', 'hg:jobtext:' .. job.id, entry.text)
  redis.call('ZADD', 'hg:jobs', job.seq, job.id)
  redis.call('ZADD', 'hg:jobs:status:' .. job.status, job.seq, job.id)
  redis.call('ZADD', 'hg:jobs:account:' .. job.account, job.seq, job.id)
  redis.call('ZADD', 'hg:jobs:kind:' .. job.kind, job.seq, job.id)
  if entry.once then
    redis.call('SET', entry.once, job.id, 'PX', digits(math.max(run_at, now) - now + CONF.keep))
  end
  note(job, now, job.status, 'accept', '')
  if entry.error then
    finalize(job, 'failed', now, 'accept', 'born failed', nil, entry.error)
  else
    if expires > 0 then redis.call('ZADD', 'hg:expiry', expires, job.id) end
    if job.status == 'scheduled' then
      redis.call('ZADD', 'hg:due', run_at, job.id)
    else
      ring(job.id, job.kind, now)
    end
  end
  return job.id
end
