-- How things end, and who is told: a final state and its callback are one step, and so are an
-- account's hold and its callback. What was decided about a job is kept without its text.

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

local function payload_key(id) return 'hg:payload:' .. id end

local function post(id, seq, fields, body, now)
  local flat = {'v', VERSION, 'seq', seq, 'status', 'pending', 'attempts', 0, 'created', digits(now),
    'next_at', digits(now), 'fence', 0, 'owner', '', 'lease', 0}
  for name, value in pairs(fields) do
    flat[#flat + 1] = name
    flat[#flat + 1] = value
  end
  redis.call('HSET', 'hg:dlv:' .. id, unpack(flat))
  redis.call('SET', payload_key(id), body)
  redis.call('ZADD', 'hg:dlvs', seq, id)
  redis.call('ZADD', 'hg:dlvs:status:pending', seq, id)
  ring(id, 'delivery', now)
end

local function delivery_of(job, run) return 'dlv_' .. string.sub(job.id, 5) .. '_' .. run end

-- What the callback of an ended run says; the same bytes whenever it is asked.
local function payload_of(job) return payload(job, 'job.' .. job.status, tonumber(job.finished)) end

local function open_delivery(job, now)
  post(delivery_of(job, job.run), now_seq(), {job = job.id, run = job.run, endpoint = job.callback,
    type = 'job.' .. job.status}, payload_of(job), now)
end

-- Before a job runs again: what was delivered of its last run can then no longer be told by it.
local function keep_payload(job)
  local id = delivery_of(job, job.run)
  local stored = redis.call('HMGET', 'hg:dlv:' .. id, 'v', 'payload')
  if stored[1] and not stored[2] then redis.call('SET', payload_key(id), payload_of(job), 'NX') end
end

-- Tells the account's callback, if it has one, that it was put on hold or goes on.
local function tell_of(name, kind, reason, now)
  local callback = limits_of(name).callback
  if not callback then return end
  local seq = now_seq()
  post('dlv_account_' .. seq, seq, {job = '', run = 1, endpoint = callback, type = 'account.' .. kind},
    '{"type":"account.' .. kind .. '","timestamp":"' .. rfc3339(now) .. '","data":' ..
      cjson.encode({account = name, reason = reason}) .. '}', now)
end

-- Keeps a decision: what, why, about which job or account, by whom; never what a job says.
local function audit(now, decision, why, who, account, job)
  local flat = {'decision', decision, 'why', why or '', 'by', who or '', 'account', account}
  if job then
    local more = {job = job.id, kind = job.kind, to = job.to, post = job.post, pk = job.pk,
      source = job.source, text_hash = job.text_hash}
    for name, value in pairs(more) do
      flat[#flat + 1] = name
      flat[#flat + 1] = value
    end
  end
  redis.call('XADD', 'hg:audit', 'MINID', '~', digits(now - CONF.keep), '*', unpack(flat))
end

local function put_on_hold(name, reason, remark, who, now)
  local key = 'hg:acct:' .. name
  redis.call('SADD', 'hg:accts', name)
  local held = redis.call('HGET', key, 'hold')
  -- What an error has put on hold stays so, with its reason; it takes the place of a pause, which
  -- comes back when a code has ended it.
  if not held or (reason ~= 'paused' and held ~= reason) then
    redis.call('HSET', key, 'hold', reason, 'hold_note', '', 'hold_since', digits(now))
    audit(now, 'hold', reason, who, name)
    tell_of(name, 'held', reason, now)
  end
  if reason == 'paused' then redis.call('HSET', key, 'paused', digits(now), 'paused_note', remark) end
  if remark ~= '' then redis.call('HSET', key, 'hold_note', remark) end
end

-- Kept for as long as the job may wait, as far as that can be told.
local function keep_photo(id, jpeg, from, now)
  redis.call('SET', 'hg:jobphoto:' .. id, jpeg, 'PX', digits(math.max(from, now) - now + CONF.keep))
end

local function remember_until(id, at) index('hg:retention', at, id) end

-- Look-ups are many, and what they found is kept apart.
local function remembered_for(job) return job.kind == 'lookup' and math.min(DAY, CONF.keep) or CONF.keep end

-- Only what may be sent again needs its text.
local AGAIN = {failed = true, uncertain = true}

-- A final state and its callback are one step: nothing ends without coming through here.
local function finalize(job, to, now, who, why, result, failure)
  local fields = {finished = now, result = result or '', error = failure or '', owner = '', lease = 0,
    wait_reason = '', wait_until = 0, cancel = '', lane = '', renewed = 0, charged = '', misses = 0,
    looks = 0, strikes = 0, echoes = 0, text_hash = ''}
  end_write(job, now, true, fields)
  unlist(job)
  if tonumber(job.expires) > 0 then redis.call('ZREM', 'hg:expiry', job.id) end
  move(job, to, now, who, why, fields)
  count('end', job.kind, to)
  if AGAIN[to] then
    redis.call('PEXPIRE', 'hg:jobtext:' .. job.id, CONF.keep_bodies)
  else
    redis.call('DEL', 'hg:jobtext:' .. job.id)
  end
  if job.photo then redis.call('DEL', 'hg:jobphoto:' .. job.id) end
  remember_until(job.id, now + remembered_for(job))
  if job.kind == 'lookup' then land(job, now) end
  if is_walk(job) then close_walk(job) end
  if job.callback ~= '' then open_delivery(job, now) end
  leave_turn(job, now)
end

local function expired(job, now) return tonumber(job.expires) > 0 and now >= tonumber(job.expires) end

local function expire(job, now, who)
  finalize(job, 'expired', now, who, 'past expires_at', nil,
    '{"code":"expired","message":"The job was not done before its expires_at.","retryable":false}')
end

-- Takes the job from a claim whose lease is over. A server may still store a write after its
-- sender was killed: the look-up comes when that has settled, counted from the last renewal
-- (which the lease alone does not tell: its holder's may be of another length).
local function lapse(job, now, who)
  local fields = {owner = '', lease = 0}
  count('attempt', job.kind, 'lapsed')
  end_write(job, now, true, fields)
  if job.status == 'sending' then
    local renewed = tonumber(job.renewed or 0)
    local settled = math.max(job.intent_at, renewed, job.lease - CONF.lease) + CONF.settle
    unlist(job)
    set(job, fields)
    note(job, now, 'sending', who, 'lease lapsed')
    redis.call('ZADD', 'hg:due', math.max(now, settled), job.id)
    return
  end
  set(job, fields)
  if job.cancel ~= '' then
    finalize(job, 'canceled', now, job.cancel, 'asked to')
  else
    enter(job, now, who, 'lease lapsed')
  end
end
