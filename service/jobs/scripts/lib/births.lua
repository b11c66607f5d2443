-- An account that does something already still does: while a script runs nobody gives a turn back.
local function must_wait(job, now)
  run.busy = run.busy or {}
  local name = job.account .. '\n' .. job.kind
  if not run.busy[name] then
    run.busy[name] = not stopped(account_of(job.account), job.kind) and is_taken(job.account, now)
  end
  return run.busy[name]
end

-- Inserts one job (see ledger.py, `entry_of`). Returns its id: an earlier job's where a business
-- key already has one.
local function create_job(entry, source, now)
  if redis.call('EXISTS', 'hg:job:' .. entry.id) == 1 then return entry.id end
  if entry.once then
    local earlier = redis.call('GET', entry.once)
    if earlier then return earlier end
  end
  local run_at = entry.run_at or now + entry.delay
  local expires = entry.expires_at or (entry.expires and now + entry.expires) or 0
  local suppressed = not entry.error and entry.kind == 'dm' and
    is_suppressed(entry.account, entry.to)
  local failure = entry.error or (suppressed and SUPPRESSED)
  local job = read_job(entry.id, {})
  job.kind, job.account, job.thread = entry.kind, entry.account, entry.photo and 'old' or nil
  -- In a storm most jobs have to wait: those are written down so at once, not moved there.
  local born = run_at > now and 'scheduled' or 'queued'
  local waits = born == 'queued' and not failure and must_wait(job, now)
  job.seq = digits(now_seq())
  set(job, {v = VERSION, seq = job.seq, status = waits and 'waiting' or born, kind = job.kind,
    account = job.account, run = 1, callback = entry.callback, metadata = entry.metadata,
    source = source, prio = entry.priority, to = entry.to, post = entry.post, created = now,
    run_at = run_at, expires = expires, wait_reason = waits and 'turn' or '',
    lane = waits and lane_of(job) or '', thread = job.thread, dry = entry.dry or '',
    text_hash = hash_of(entry.says or entry.text)})
  if entry.target then set(job, {target = entry.target}) end
  if is_walk(job) then
    set(job, {cursor = '', pages = 0, users = 0, expected = 0, most = entry.most or 0, eta = 0})
  end
  if entry.photo then set(job, {photo = entry.photo}) end
  if not READS[job.kind] then redis.call('SET', 'hg:jobtext:' .. job.id, entry.text) end
  index('hg:jobs', job.seq, job.id)
  index('hg:jobs:account:' .. job.account, job.seq, job.id)
  index('hg:jobs:kind:' .. job.kind, job.seq, job.id)
  if entry.once then
    redis.call('SET', entry.once, job.id, 'PX', digits(math.max(run_at, now) - now + CONF.keep))
  end
  if suppressed then
    audit(now, 'refuse', 'recipient_suppressed', 'accept', job.account, job)
  end
  if not failure then arm_expiry(job) end
  if waits then
    index('hg:jobs:status:waiting', job.seq, job.id)
    note(job, now, born, 'accept', '')
    note(job, now, 'waiting', 'line', 'turn')
    join_line(job)
    return job.id
  end
  redis.call('ZADD', 'hg:jobs:status:' .. born, job.seq, job.id)
  note(job, now, born, 'accept', '')
  if failure then
    finalize(job, 'failed', now, 'accept', 'born failed', nil, failure)
  elseif born == 'scheduled' then
    redis.call('ZADD', 'hg:due', run_at, job.id)
  else
    place(job, now, 'accept')
  end
  return job.id
end
