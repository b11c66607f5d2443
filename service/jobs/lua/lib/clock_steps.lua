-- The store's clock set back: a failover to a machine whose clock is behind, a correction by NTP,
-- or the end of a time in which it was ahead.
--
-- What was stored before then may lie in the future. Where a time says when something began, one in
-- the future counts as now, so that each wait is as long as it was meant to be and no longer. The
-- heartbeat that notices the step begins a pass over all such times; each heartbeat does a slice of
-- it. Times that people or the configuration have set (run_at, expires_at, quiet hours, retention)
-- are times of the calendar and stay. docs/storage.md lists every stored time.
--   hg:clock   hash. While a pass goes on: phase, cursor. For a week: was (the latest time before
--              the step), by (how far the clock was set back, all steps of that week in sum)
--- @include "config"
--- @include "clock"
--- @include "records"
--- @include "rate_limits"
--- @include "timeline"
--- @include "set_aside"
--- @include "photos"

local clock_steps = {}
do
  -- Entries of one index that one heartbeat looks at.
  local SLICE = 100
  -- A clock that is corrected by less is not set back: leases are longer.
  local TOLERANCE = 500
  -- How long it matters when an intent was recorded.
  local MEMORY = 7 * DAY
  -- An intent in the future, where nobody has noticed the step yet, may be this old.
  local UNKNOWN_AGE = HOUR

  -- Nothing in these is due later than in a lease, except wake-ups that nobody has answered, which
  -- may as well be repeated.
  local function pull_in(index, now)
    local latest = digits(now + CONF.lease)
    local far = redis.call('ZRANGEBYSCORE', index, '(' .. latest, '+inf', 'LIMIT', 0, SLICE)
    for _, member in ipairs(far) do redis.call('ZADD', index, latest, member) end
    return #far < SLICE and '0' or 'more'
  end

  -- A gap is never longer than the configuration says.
  local function mend_gap(account, state, limit, gap, now)
    local latest = now + gap[2]
    if tonumber(state['gap:' .. limit] or 0) > latest then
      redis.call('HSET', 'hg:acct:' .. account, 'gap:' .. limit, digits(latest))
    end
  end

  local function mend_budget(key, now)
    local ahead = redis.call('ZRANGEBYSCORE', key, '(' .. digits(now), '+inf', 'LIMIT', 0, 1000)
    for _, member in ipairs(ahead) do redis.call('ZADD', key, digits(now), member) end
  end

  -- A cooldown that began in the future begins now. An early release has not stored when one began.
  local function mend_cooldown(account, state, field, now)
    local kind = string.match(field, '^cool_at:(.+)$')
    local began = kind and tonumber(state[field])
    if not began or began <= now then return end
    local length = math.max(0, tonumber(state['cool:' .. kind] or 0) - began)
    redis.call('HSET', 'hg:acct:' .. account, field, digits(now), 'cool:' .. kind,
      digits(now + length))
  end

  local function mend_account(account, now)
    local state = load_account(account)
    for limit, own in pairs(config_of(account).limits) do
      mend_gap(account, state, limit, own.gap, now)
      mend_budget(spent_key(account, limit), now)
    end
    for field in pairs(state) do mend_cooldown(account, state, field, now) end
    -- Then it is found out again when a sub-queue opens.
    redis.call('ZADD', 'hg:alarms', 'XX', now, account)
  end

  local function mend_accounts(cursor, now)
    local found = redis.call('SSCAN', 'hg:accts', cursor, 'COUNT', SLICE / 10)
    for _, account in ipairs(found[2]) do mend_account(account, now) end
    return found[1]
  end

  local function mend_delivery(id, now)
    local key = 'hg:dlv:' .. id
    local next_at, set_at, created, v = unpack(redis.call('HMGET', key, 'next_at', 'set_at',
      'created', 'v'))
    local began = tonumber(set_at or created or 0)
    if not next_at or is_newer({v = v}) or began <= now then return end
    local due = now + math.max(0, tonumber(next_at) - began)
    redis.call('HSET', key, 'next_at', digits(due), 'set_at', digits(now))
    redis.call('ZADD', 'hg:due', due, id)
  end

  -- When the last change of a job was recorded: from then on it waits.
  local function waits_since(id)
    local last = redis.call('LINDEX', 'hg:jobtl:' .. id, -1)
    return tonumber(last and string.match(last, '^(%d+)\t') or 0)
  end

  local function mend_wait(job, at, began, now)
    local due = now + math.max(0, at - began)
    if tonumber(job.wait_until) > 0 then set_fields(job, {wait_until = due}) end
    append_timeline(job, now, job.status, 'heartbeat', 'clock set back')
    redis.call('ZADD', 'hg:due', due, job.id)
  end

  -- A job that is scheduled is due when somebody has said.
  local function mend_job(id, at, now)
    local status = redis.call('HGET', 'hg:job:' .. id, 'status')
    if status ~= 'waiting' and status ~= 'held' and status ~= 'sending' then return end
    local job = load_job(id)
    if is_newer(job) then return end
    if job.status == 'waiting' and (job.owner ~= '' or awaits_photo(job) or
        job.wait_reason == 'store_full') then
      redis.call('ZADD', 'hg:due', math.min(at, now + CONF.lease), id)
      if tonumber(job.wait_until) > now then set_fields(job, {wait_until = 0}) end
      return
    end
    local began = waits_since(id)
    if began > now then mend_wait(job, at, began, now) end
  end

  local function mend_due(cursor, now)
    local found = redis.call('ZSCAN', 'hg:due', cursor, 'COUNT', SLICE)
    local rows = found[2]
    for i = 1, #rows, 2 do
      local id, at = rows[i], tonumber(rows[i + 1])
      if at > now then
        if is_delivery(id) then mend_delivery(id, now) else mend_job(id, at, now) end
      end
    end
    return found[1]
  end

  -- What one pass goes through, one after the other; each returns the cursor of its next slice, '0'
  -- at its end.
  local PHASES = {
    function(_, now) return pull_in('hg:turns', now) end,
    function(_, now) return pull_in('hg:leases', now) end,
    function(_, now) return pull_in('hg:wakes', now) end,
    mend_accounts,
    mend_due,
  }

  -- The latest time that the store is known to have had.
  local function latest_time()
    return tonumber(redis.call('HGET', 'hg:history', 'beat_at') or 0)
  end

  local function begin_pass(was, now)
    local known = load_hash('hg:clock') or {}
    redis.call('HSET', 'hg:clock', 'phase', '1', 'cursor', '0',
      'was', digits(math.max(was, tonumber(known.was or 0))),
      'by', digits(was - now + tonumber(known.by or 0)))
    redis.call('PEXPIRE', 'hg:clock', MEMORY)
    count('clock_step', 'back')
  end

  -- Notices a step, and does the next slice of the pass that follows it; returns whether there is
  -- more of it.
  function clock_steps.follow(now)
    local was = latest_time()
    if was > now + TOLERANCE then begin_pass(was, now) end
    local phase, cursor = unpack(redis.call('HMGET', 'hg:clock', 'phase', 'cursor'))
    if not phase then return false end
    local mend = PHASES[tonumber(phase)]
    local next_cursor = mend and mend(cursor, now) or '0'
    if next_cursor == '0' then phase = phase + 1 end
    if PHASES[tonumber(phase)] then
      redis.call('HSET', 'hg:clock', 'phase', digits(phase), 'cursor', next_cursor)
      return true
    end
    redis.call('HDEL', 'hg:clock', 'phase', 'cursor')
    return false
  end

  -- From when on an unconfirmed write may have been made, by the clock of today: not later than it
  -- was. Too early does no harm (actors/instagram/write_query.py), too late makes a second write.
  function clock_steps.intended_at(intent_at, now)
    local was, by = unpack(redis.call('HMGET', 'hg:clock', 'was', 'by'))
    local at = tonumber(intent_at)
    if was and at <= tonumber(was) then at = at - tonumber(by) end
    return at <= now and at or now - UNKNOWN_AGE
  end
end
