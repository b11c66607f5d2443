-- What look-ups have found, and which job looks now. Many may ask; one looks.
--   hg:found:{target}   hash: body (JSON), etag, at: the last answer; problem (JSON), problem_at:
--                       why there is no newer one
--   hg:flight:{target}  id of the job that looks
-- A target is `user:{name}` or `post:{pk}`.

-- A copy too old to be fresh is still better than none.
local STALE_FOR = 7 * DAY
-- For how long a target that is not there is not looked for again.
local BRIEF = 60000

-- Problems of the target itself: an older answer is no longer true.
local GONE = {user_not_found = true, media_not_found = true, media_unavailable = true,
  private_account = true, age_restricted = true, invalid_media_id = true}

local function flight_key(target) return 'hg:flight:' .. target end

local function found_key(target) return 'hg:found:' .. target end

-- The end of a look-up: what it found is for everybody, and the next one may begin.
local function land(job, now)
  if not job.target then return end
  if redis.call('GET', flight_key(job.target)) == job.id then redis.call('DEL', flight_key(job.target)) end
  local key = found_key(job.target)
  if job.status == 'succeeded' then
    redis.call('HSET', key, 'body', job.result, 'etag', string.sub(redis.sha1hex(job.result), 1, 20),
      'at', digits(now))
    redis.call('HDEL', key, 'problem', 'problem_at')
    redis.call('PEXPIRE', key, STALE_FOR)
  elseif job.status == 'failed' then
    if GONE[cjson.decode(job.error).code] then redis.call('HDEL', key, 'body', 'etag', 'at') end
    redis.call('HSET', key, 'problem', job.error, 'problem_at', digits(now))
    redis.call('PEXPIRE', key, redis.call('HEXISTS', key, 'body') == 1 and STALE_FOR or BRIEF)
  end
end

-- The job that looks for a target now; nil where none does.
local function flight_of(target)
  local id = redis.call('GET', flight_key(target))
  local job = id and load_job(id)
  if job and not FINAL[job.status] then return job end
end

-- Since when a person keeps an account from looking.
local function stopped_since(account)
  local since = redis.call('HGET', 'hg:paused', 'since')
  return tonumber(since or (account.hold and account.hold_since) or account['pause:lookup'] or 0)
end

-- What is left of an account's budget once those are done who stand in line, and when there is
-- room for one more; nil for now.
local function room_of(name, now)
  local per_hour, per_day = most_of(name, 'lookup', now)
  if not per_hour then return math.huge end
  local left, why, till = math.huge, nil, now
  local key, ahead = spent_key(name, 'lookup'), 0
  for _, lane in ipairs({'lookup', 'walk'}) do ahead = ahead + redis.call('ZCARD', line_key(name, lane)) end
  local function fits(limit, most, span)
    local free = most - ahead
    left = math.min(left, free - redis.call('ZCOUNT', key, '(' .. digits(now - span), '+inf'))
    local at = free < 1 and now + span or room_at(key, free, span, now)
    if at and at > till then why, till = 'lookup_' .. limit, at end
  end
  fits('per_hour', per_hour, HOUR)
  fits('per_day', per_day, DAY)
  return left, why, till
end

-- Why an account looks for nobody within `patience` (ms), until when (0: a person is needed) and
-- since when a person is; nil where it does.
local function barred(name, now, patience)
  local account = account_of(name)
  local why, till = door(name, account, 'lookup', now)
  if why and till == 0 then return why, 0, stopped_since(account) end
  if why and till > now + patience then return why, till, 0 end
end

-- The account that looks: of those that may now (or within `patience`, ms) the one with most of
-- its budget left; one that does something has one less, and comes after its equals. Nil, why, until (0: a person is needed) and since when where there is none.
local function reader_of(names, now, patience)
  local best, most, best_taken, why, till, since
  local function note_shut(reason, opens, stopped)
    if why and not (opens > 0 and (till == 0 or opens < till)) then return end
    why, till, since = reason, opens, stopped
  end
  for _, name in ipairs(names) do
    local left, full_of, room = room_of(name, now)
    local reason, opens, stopped = barred(name, now, patience)
    if not reason and full_of and room > now + patience then reason, opens, stopped = full_of, room, 0 end
    if reason then
      note_shut(reason, opens, stopped)
    else
      local taken = redis.call('EXISTS', 'hg:acct:' .. name .. ':turn')
      left = left - taken
      if not best or left > most or (left == most and taken < best_taken) then
        best, most, best_taken = name, left, taken
      end
    end
  end
  return best, why, till, since
end

-- When a job in line may have looked, by the pace its account is allowed: an estimate, in ms from now.
local function comes_in(job)
  local own = limits_of(job.account).paces.lookup
  local place = redis.call('ZRANK', line_key(job.account, 'lookup'), job.id)
  return own and place and (place + 1) * (own.gap[1] + own.gap[2]) / 2 or 0
end

-- What look.lua and sight.lua reply of a target: {flat hash of what is known, job that looks or '', why nobody
-- does or '', until when (0: a person is needed), since when a person is (0: none is), when it is
-- worth asking again (ms from now, 0: not told), now}
local function sight_of(target, job, why, till, since, now)
  local again = 0
  if why then
    again = (till or 0) > 0 and till - now or 0
  elseif job then
    again = comes_in(job)
  else
    again = math.max(0, (redis.call('HGET', found_key(target), 'problem_at') or 0) + BRIEF - now)
  end
  return {redis.call('HGETALL', found_key(target)), job and job.id or '', why or '', digits(till or 0),
    digits(since or 0), digits(again), now}
end
