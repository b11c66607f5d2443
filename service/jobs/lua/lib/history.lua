-- Whether the store still has the history of writes that its processes have seen. A promoted
-- replica, a crash with `appendfsync everysec` and a restored backup lack the last of it: an intent
-- may be gone whose write was made.
--
-- Each process has a high-water mark (hg:marks), which it alone raises, and remembers the highest
-- number that the store has confirmed. A store with a lower one has lost what came after it. Marks
-- are raised one after the other, so no process can hide what another misses.
--
-- Then each job that writes is looked for at Instagram once before its write, for as long as a
-- sender may send its event again. Jobs are not walked: each is compared with the loss when it is
-- claimed.
--- @include "config"
--- @include "clock"
--- @include "batch"
--- @include "records"

local history = {}
do
  -- A loss that a mark has shown, and then the server itself within this time, is one.
  local SAME_LOSS = 60000
  -- After the store was restarted, each process that is alive compares its mark within this time.
  local COMPARING = 5000
  local CONFIRMING = 1000
  -- A mark raised so shortly before the store stopped is of a process that lived until then.
  local LAST_MOMENTS = 60000
  -- A store that was down for longer, while processes were not stopped in order, may be a backup.
  local LONG_GAP = 600000
  -- How much earlier than the loss a lookup begins: the clocks of two servers may differ.
  local CLOCK_SLACK = 60000
  -- A mark that was not raised for so long is dropped once there are many; its process no longer
  -- relies on it (high_water_mark.py).
  local MARK_VALID, MANY_MARKS = 8 * DAY, 100
  -- A function's `run` is made by each of its runs; EVAL's is there already.
  local IS_FUNCTION = run == nil
  -- What this_server has found out.
  local server_id

  -- What hg:history says: epoch is how many losses there were, '0' for none.
  local function load_history()
    if not run.history then
      local epoch, lost_at, since, comparing, restarted, server = unpack(redis.call('HMGET',
        'hg:history', 'epoch', 'lost_at', 'since', 'comparing', 'restarted', 'server'))
      run.history = {epoch = epoch or '0', lost_at = tonumber(lost_at or 0),
        since = tonumber(since or 0), comparing = tonumber(comparing or 0),
        restarted = tonumber(restarted or 0), server = server}
    end
    return run.history
  end

  local function set_history(...)
    redis.call('HSET', 'hg:history', ...)
    run.history = nil
  end

  -- Whether a lost history may still concern the jobs of today.
  local function is_history_lost(now)
    local known = load_history()
    return known.epoch ~= '0' and now < known.lost_at + CONF.keep
  end

  function history.epoch() return load_history().epoch end

  -- Whether the write of a job may have been made in a time that the store has lost. A job that is
  -- older than the loss may have waited for longer than any sender repeats itself.
  function history.must_look_first(job, now)
    local known = load_history()
    if known.epoch == '0' or job.checked == known.epoch then return false end
    return not READ_KINDS[job.kind] and job.dry ~= '1' and tonumber(job.intent_at) == 0 and
      (is_history_lost(now) or tonumber(job.created) < known.lost_at)
  end

  -- The loss that jobs are compared with: {epoch, cause, ms that are missing at most}.
  function history.current_loss(now)
    if not is_history_lost(now) then return {} end
    local known = load_history()
    return {known.epoch, redis.call('HGET', 'hg:history', 'cause') or '',
      digits(math.max(0, known.lost_at - known.since))}
  end

  -- From when on writes may be made: what was under way when history was lost has been stored by
  -- then, and what is missing has been noticed.
  function history.writes_resume_at()
    local known = load_history()
    local settled = known.epoch ~= '0' and known.lost_at + CONF.lease + CONF.settle or 0
    return math.max(settled, known.comparing)
  end

  -- From when on a write may have been made of which the store knows nothing (unix ms).
  function history.lost_since(now)
    return math.max(1, math.min(load_history().since, now) - CLOCK_SLACK)
  end

  -- Until when: the last may have been under way when the loss was noticed.
  function history.lost_until()
    return load_history().lost_at + CONF.lease + CONF.settle
  end

  -- Remembers which DMs are known: one of the lost time with another token was made by a job that
  -- the store has forgotten.
  function history.remember_token(job, context, now)
    if context == '' then return end
    local key = 'hg:sent:' .. job.account
    redis.call('ZADD', key, now_digits(now), context)
    redis.call('ZREMRANGEBYSCORE', key, '-inf', digits(now - CONF.keep))
    redis.call('PEXPIRE', key, digits(CONF.keep))
  end

  -- Whether a loss was noticed a moment ago.
  local function has_just_lost(now)
    local known = load_history()
    return known.epoch ~= '0' and now < known.lost_at + SAME_LOSS
  end

  -- `since` is when the store was known to be complete, 0 for unknown. Every process may know a
  -- different time, and each is right. Jobs that were not looked for since an earlier loss are
  -- looked for from then on.
  local function note_loss(since, cause, now)
    local known = load_history()
    since = since > 0 and since or now - CONF.keep
    if is_history_lost(now) then since = math.min(since, known.since) end
    set_history('epoch', digits(known.epoch + 1), 'lost_at', now_digits(now),
      'since', digits(math.min(since, now)), 'cause', cause, 'restarted', '0')
    count('history_lost', cause)
  end

  local function drop_old_marks(now)
    if redis.call('HLEN', 'hg:marks') < MANY_MARKS then return end
    local marks = redis.call('HGETALL', 'hg:marks')
    for i = 1, #marks, 2 do
      local at = tonumber(string.match(marks[i + 1], ' (%d+) ') or 0)
      if at < now - MARK_VALID then redis.call('HDEL', 'hg:marks', marks[i]) end
    end
  end

  -- Whether another process has noticed the same loss: what is missing was confirmed before that,
  -- or its confirmation was still on the way (CONFIRMING).
  local function is_known_loss(epoch, age, now)
    local known = load_history()
    return known.epoch ~= '0' and epoch ~= known.epoch and now - age <= known.lost_at + CONFIRMING
  end

  -- Raises a process' mark to `number`; it has seen `seen` confirmed, `age` ms ago. A mark is its
  -- number, when it was raised, and the epoch then.
  function history.raise_mark(process, number, seen, age, now)
    local mark = redis.call('HGET', 'hg:marks', process)
    local stored, at, epoch = string.match(mark or '', '^(%d+) (%d+) (%d+)$')
    if not stored then drop_old_marks(now) end
    stored, at = tonumber(stored or 0), tonumber(at or 0)
    if stored < tonumber(seen) then
      if not is_known_loss(epoch, tonumber(age), now) then note_loss(at, 'mark', now) end
    end
    redis.call('HSET', 'hg:marks', process, digits(math.max(stored, tonumber(number))) .. ' ' ..
      now_digits(now) .. ' ' .. load_history().epoch)
  end

  -- Whether a worker lived until the store stopped, and has not compared its mark since. A mark in
  -- the future is from before the clock was set back.
  local function is_worker_missing(complete_at, restarted, now)
    local marks = redis.call('HGETALL', 'hg:marks')
    for i = 1, #marks, 2 do
      local at = tonumber(string.match(marks[i + 1], ' (%d+) ') or 0)
      if string.find(marks[i], '^worker') and at >= complete_at - LAST_MOMENTS and
          (at < restarted or at > now) then
        return true
      end
    end
    return false
  end

  -- Nobody can tell what the store misses of a worker that has not outlived its restart. Nothing,
  -- if every command is on disk before its reply and this is no backup.
  local function judge_restart(now)
    local known = load_history()
    if known.restarted == 0 or now < known.comparing then return end
    set_history('restarted', '0')
    local complete_at, durable = unpack(redis.call('HMGET', 'hg:history', 'complete_at',
      'was_durable'))
    complete_at = tonumber(complete_at or 0)
    local is_safe = durable == '1' and known.restarted - complete_at < LONG_GAP
    if not is_safe and is_worker_missing(complete_at, known.restarted, now) then
      note_loss(complete_at, 'restart', now)
    end
  end

  local function info(section)
    local reply = redis.pcall('INFO', section)
    return type(reply) == 'string' and reply or nil
  end

  -- The server process that runs this, asked for once: INFO costs as much as all else in a step. A
  -- function's library lives as long as the process, and so serves as its name where INFO is
  -- forbidden; EVAL, which makes everything anew, then has none.
  local function this_server()
    if not server_id then server_id = string.match(info('server') or '', 'run_id:(%x+)') end
    if not server_id and IS_FUNCTION then
      local t = redis.call('TIME')
      server_id = RELEASE .. ':' .. t[1] .. t[2]
    end
    return server_id
  end

  -- Whether the store was last seen in another server process. Two libraries of one process have
  -- different names (`release:time`).
  local function is_other_server(known, current)
    return known and known ~= current and
      string.match(known, '^%x+:') == string.match(current, '^%x+:')
  end

  -- A server that was restarted, or whose address moved to another, leaves it to the marks what it
  -- lacks, so writes wait until all have been compared.
  local function compare_marks(now)
    local beat_at, durable = unpack(redis.call('HMGET', 'hg:history', 'beat_at', 'durable'))
    set_history('comparing', digits(now + COMPARING), 'restarted', now_digits(now),
      'complete_at', beat_at or '0', 'was_durable', durable or '0')
  end

  -- A server that continues another's replication
  -- (https://redis.io/docs/latest/operate/oss_and_stack/management/replication/) was its replica,
  -- and may have missed the end of its history.
  local function compare_replication(now)
    local replication = info('replication')
    local replication_id = string.match(replication or '', 'master_replid:(%x+)')
    local known = redis.call('GET', 'hg:replid')
    if not replication_id or known == replication_id then return replication end
    redis.call('SET', 'hg:replid', replication_id)
    local beat_at, cause = unpack(redis.call('HMGET', 'hg:history', 'beat_at', 'cause'))
    local is_noted = cause == 'mark' and has_just_lost(now)
    if known and known == string.match(replication, 'master_replid2:(%x+)') and not is_noted then
      note_loss(tonumber(beat_at or now - CLOCK_SLACK), 'promoted_replica', now)
    end
    return replication
  end

  -- Compares the server with the one that was seen last; before each write.
  function history.compare_server(now)
    local current, known = this_server(), load_history().server
    if current and known ~= current then
      set_history('server', current)
      if is_other_server(known, current) then compare_marks(now) end
      compare_replication(now)
    end
    judge_restart(now)
  end

  -- Notes what to compare with, should the store turn out to be in its past: when it was complete,
  -- and whether it keeps everything (`durable`: '1' if each command is on disk before its reply).
  -- With a replica it need not: nobody can tell which of the two was started again.
  function history.mark_beat(durable, now)
    local replicas = string.match(compare_replication(now) or '', 'connected_slaves:(%d+)')
    set_history('beat_at', now_digits(now), 'durable', replicas == '0' and durable or '0')
  end

  -- Where the clock was set back, a loss in the future counts as noticed now.
  function history.follow_clock(now)
    local known = load_history()
    if known.lost_at > now then set_history('lost_at', now_digits(now)) end
    if known.comparing > now + COMPARING then set_history('comparing', '0', 'restarted', '0') end
  end
end
