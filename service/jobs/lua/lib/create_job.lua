-- Creation of jobs.
--- @include "config"
--- @include "clock"
--- @include "batch"
--- @include "records"
--- @include "timeline"
--- @include "photos"
--- @include "account_queue"
--- @include "suppression"
--- @include "audit_log"
--- @include "people"
--- @include "tombstones"
--- @include "finalize"

-- What only this function needs is in a block of its own: what the scripts share may have 200
-- locals outside of blocks.
local claim_once_keys
local reserve_id
local create_job
do
  -- Whether the account is busy. It stays busy while a script runs: no claim ends meanwhile.
  local function must_wait(job, now)
    run.busy = run.busy or {}
    local name = job.account .. '\n' .. job.kind
    if not run.busy[name] then
      local paused = paused_by(load_account(job.account), job.kind)
      run.busy[name] = not paused and is_turn_taken(job.account, now)
    end
    return run.busy[name]
  end

  -- Stores all fields of a new job in one command, except those that have their blank value.
  local function insert(job)
    local flat, n = {}, 0
    for name, value in pairs(job) do
      if value == BLANK[name] then
        job[name] = nil
      elseif IS_FOLDED[name] then
        n = append_folded(flat, n, name, value)
      elseif name ~= 'id' then
        flat[n + 1], flat[n + 2], n = name, value, n + 2
      end
    end
    redis.call('HSET', 'hg:job:' .. job.id, unpack(flat))
  end

  -- The timeline of a job that waits from the beginning.
  local function append_created_and_waiting(job, now, status, by)
    redis.call('RPUSH', 'hg:jobtl:' .. job.id, timeline_entry(now, status, by, ''),
      timeline_entry(now, 'waiting', 'account_queue', 'turn'))
    publish(job, now, 'n', '1', 'to', status, 'by', by, 'why', '')
    publish(job, now, 'n', '2', 'to', 'waiting', 'by', 'account_queue', 'why', 'turn')
  end

  -- The job that an entry asks for, as it is stored: all values are text.
  local function build_job(entry, source, now, run_at)
    local job = read_job(entry.id, {v = entry.encrypted and VERSION or PLAIN_VERSION,
      seq = digits(next_seq()), status = '',
      kind = entry.kind, account = entry.account, run = '1', callback = entry.callback,
      metadata = entry.metadata, source = source, prio = digits(entry.priority), to = entry.to,
      post = entry.post, created = now_digits(now), run_at = digits(run_at), wait_reason = '',
      lane = '', expires = digits(entry.expires_at or (entry.expires and now + entry.expires) or 0),
      thread = entry.photo and 'old' or '', dry = entry.dry or '', target = entry.target,
      photo = entry.photo, text_hash = entry.text_hash or content_hash(entry.says or entry.text),
      encrypted_as = entry.encrypted_as or nil, who = entry.who, idem = entry.idem,
      once = tombstones.once_field(entry.once_kept), report = entry.report})
    if is_follower_export(job) then
      job.cursor, job.pages, job.users, job.expected, job.eta = '', '0', '0', '0', '0'
      job.most = digits(entry.most or 0)
    end
    return job
  end

  -- Keeps an entry's business keys for a job: as tombstones, if it is erased.
  local function keep_once_keys(entry, id, keep_ms)
    if id ~= entry.id and is_erased(id) then
      for _, name in ipairs(tombstones.once_kept(entry)) do tombstones.keep(name, id, keep_ms) end
      return
    end
    for _, key in ipairs(entry.once_kept) do
      local is_new = redis.call('SET', key, id, 'PX', digits(keep_ms), 'NX')
      if is_new and id ~= entry.id then tombstones.add_once(id, key, keep_ms) end
    end
  end

  -- Claims an entry's business keys for a job. Returns the job that has them: another, if an
  -- earlier event was about the same thing; the keys that only this event has are then its, too.
  function claim_once_keys(entry, id, keep_ms)
    if not entry.once then return id end
    local earlier, key = tombstones.first_value(entry.once)
    if not earlier and tombstones.exist() then
      earlier, key = tombstones.first_value(tombstones.once(entry))
    end
    if earlier then id, keep_ms = earlier, redis.call('PTTL', key) end
    keep_once_keys(entry, id, keep_ms)
    return id
  end

  -- Decides which job is an entry's: the earlier one that has the same id or business key, or its
  -- own. Returns the id, and whether the job is still to be created.
  function reserve_id(entry, now)
    if redis.call('EXISTS', 'hg:job:' .. entry.id) == 1 then return entry.id, false end
    local run_at = entry.run_at or now + entry.delay
    local owner = claim_once_keys(entry, entry.id, math.max(run_at, now) - now + CONF.keep)
    return owner, owner == entry.id
  end

  -- Creates one job from an entry (draft_encoding.py). Returns its id, or the id of the earlier job
  -- that has the same id or business key.
  function create_job(entry, source, now)
    local owner, is_new = reserve_id(entry, now)
    if not is_new then return owner end
    local run_at, by = entry.run_at or now + entry.delay, entry.by or 'intake'
    local suppressed = not entry.error and entry.kind == 'dm' and
      is_suppressed(entry.account, entry.to, (entry.who or '') .. ' ' .. (entry.was or ''))
    local failure = entry.error or (suppressed and SUPPRESSED_ERROR)
    local job = build_job(entry, source, now, run_at)
    local status = run_at > now and 'scheduled' or 'queued'
    -- When many come at once, most have to wait: those are stored as waiting and not moved there.
    local waits = status == 'queued' and not failure and not lacks_photo(job) and
      must_wait(job, now)
    job.status = status
    if waits then job.status, job.wait_reason, job.lane = 'waiting', 'turn', sub_queue_of(job) end
    insert(job)
    if not READ_KINDS[job.kind] then redis.call('SET', 'hg:jobtext:' .. job.id, entry.text) end
    add_to_index('hg:jobs', job.seq, job.id)
    add_to_index('hg:jobs:account:' .. job.account, job.seq, job.id)
    add_to_index('hg:jobs:kind:' .. job.kind, job.seq, job.id)
    job_indexes.index_origin(job)
    index_new_job(job)
    if suppressed then
      audit(now, 'refuse', 'recipient_suppressed', by, job.account, job)
    end
    if not failure then schedule_expiry(job) end
    if waits then
      add_to_index('hg:jobs:status:waiting', job.seq, job.id)
      append_created_and_waiting(job, now, status, by)
      add_to_queue(job)
      return job.id
    end
    redis.call('ZADD', 'hg:jobs:status:' .. status, job.seq, job.id)
    append_timeline(job, now, status, by, '')
    if failure then
      finalize(job, 'failed', now, by, 'rejected at creation', nil, failure)
    elseif status == 'scheduled' then
      redis.call('ZADD', 'hg:due', digits(run_at), job.id)
    else
      admit(job, now, by)
    end
    return job.id
  end
end
