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

-- The account that looks: of those that may now (or within `patience`, ms) the one with most of
-- its budget left. Nil, why, until (0: a person is needed) and since when where there is none.
local function reader_of(names, now, patience)
  local best, most, why, till, since
  local function room(name)
    local per_hour, per_day = most_of(name, 'lookup', now)
    if not per_hour then return math.huge end
    local key, left = spent_key(name, 'lookup'), math.huge
    for span, limit in pairs({[HOUR] = per_hour, [DAY] = per_day}) do
      left = math.min(left, limit - redis.call('ZCOUNT', key, '(' .. digits(now - span), '+inf'))
    end
    return left - redis.call('ZCARD', line_key(name, 'lookup'))
  end
  for _, name in ipairs(names) do
    local account = account_of(name)
    local shut, opens = door(name, account, 'lookup', now)
    if not shut or (opens > 0 and opens <= now + patience) then
      local left = room(name)
      if not best or left > most then best, most = name, left end
    elseif not why or (opens > 0 and (till == 0 or opens < till)) then
      why, till, since = shut, opens, tonumber(account.hold_since or 0)
    end
  end
  return best, why, till, since
end
