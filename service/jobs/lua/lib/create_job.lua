-- An account that does something already still does: while a script runs nobody gives a turn back.
local function must_wait(job, now)
  run.busy = run.busy or {}
  local name = job.account .. '\n' .. job.kind
  if not run.busy[name] then
    run.busy[name] = not stopped(account_of(job.account), job.kind) and is_taken(job.account, now)
  end
  return run.busy[name]
end

-- Writes all that a new job has, in one command; what is blank is not.
local function insert(job)
  local flat, n = {}, 0
  for name, value in pairs(job) do
    if value == BLANK[name] then
      job[name] = nil
    elseif IS_FOLDED[name] then
      n = put_folded(flat, n, name, value)
    elseif name ~= 'id' then
      flat[n + 1], flat[n + 2], n = name, value, n + 2
    end
  end
  redis.call('HSET', 'hg:job:' .. job.id, unpack(flat))
end

-- Notes that a job was made and that it waits.
local function note_waiting(job, now, born)
  redis.call('RPUSH', 'hg:jobtl:' .. job.id, line_of(now, born, 'accept', ''),
    line_of(now, 'waiting', 'line', 'turn'))
  publish(job, now, 'n', '1', 'to', born, 'by', 'accept', 'why', '')
  publish(job, now, 'n', '2', 'to', 'waiting', 'by', 'line', 'why', 'turn')
end

-- The job that an entry asks for, as it will be stored: everything is text.
local function job_of(entry, source, now, run_at)
  local job = read_job(entry.id, {v = VERSION, seq = digits(now_seq()), status = '', kind = entry.kind,
    account = entry.account, run = '1', callback = entry.callback, metadata = entry.metadata,
    source = source, prio = digits(entry.priority), to = entry.to, post = entry.post,
    created = moment(now), run_at = digits(run_at), wait_reason = '', lane = '',
    expires = digits(entry.expires_at or (entry.expires and now + entry.expires) or 0),
    thread = entry.photo and 'old' or '', dry = entry.dry or '', target = entry.target,
    photo = entry.photo, text_hash = hash_of(entry.says or entry.text)})
  if is_walk(job) then
    job.cursor, job.pages, job.users, job.expected, job.eta = '', '0', '0', '0', '0'
    job.most = digits(entry.most or 0)
  end
  return job
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
  local suppressed = not entry.error and entry.kind == 'dm' and is_suppressed(entry.account, entry.to)
  local failure = entry.error or (suppressed and SUPPRESSED)
  local job = job_of(entry, source, now, run_at)
  -- In a storm most jobs have to wait: those are written down so at once, not moved there.
  local born = run_at > now and 'scheduled' or 'queued'
  local waits = born == 'queued' and not failure and must_wait(job, now)
  job.status = born
  if waits then job.status, job.wait_reason, job.lane = 'waiting', 'turn', lane_of(job) end
  insert(job)
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
    note_waiting(job, now, born)
    join_line(job)
    return job.id
  end
  redis.call('ZADD', 'hg:jobs:status:' .. born, job.seq, job.id)
  note(job, now, born, 'accept', '')
  if failure then
    finalize(job, 'failed', now, 'accept', 'born failed', nil, failure)
  elseif born == 'scheduled' then
    redis.call('ZADD', 'hg:due', digits(run_at), job.id)
  else
    place(job, now, 'accept')
  end
  return job.id
end
