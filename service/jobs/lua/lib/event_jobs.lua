-- Jobs that a replay adds to a known event, or fills in where a rule had failed to.
--- @include "config"
--- @include "clock"
--- @include "records"
--- @include "job_indexes"
--- @include "transitions"
--- @include "account_queue"
--- @include "suppression"
--- @include "deliveries"
--- @include "audit_log"
--- @include "people"
--- @include "tombstones"
--- @include "event_indexes"
--- @include "finalize"
--- @include "job_actions"
--- @include "create_job"

local event_jobs = {}
do
  local WHY = 'replaced by replay'

  -- Whether a job was rejected at creation and never got further: it has no recipient, and nobody
  -- has claimed it.
  local function is_empty(job)
    return job.status == 'failed' and not READ_KINDS[job.kind] and not job.erased and
      job.to == '' and job.post == '' and tonumber(job.fence) == 0 and tonumber(job.intent_at) == 0
  end

  local function starts_at(entry, now) return entry.run_at or now + entry.delay end

  -- What an entry says of a job, as fields of a run that is still to begin.
  local function fields_of(entry, job, now)
    local fields = job_actions.fields_of_new_run(job)
    for _, name in ipairs({'kind', 'account', 'callback', 'metadata', 'to', 'post', 'who'}) do
      fields[name] = entry[name]
    end
    fields.v = entry.encrypted and VERSION or PLAIN_VERSION
    fields.prio, fields.dry = digits(entry.priority), entry.dry or ''
    fields.run_at = digits(starts_at(entry, now))
    fields.expires = digits(entry.expires_at or (entry.expires and now + entry.expires) or 0)
    fields.text_hash = entry.text_hash or content_hash(entry.says or entry.text)
    fields.once = tombstones.once_field(entry.once_kept)
    return fields
  end

  local function set_indexed_fields(job, fields)
    for _, index in ipairs(lists_of(job)) do redis.call('ZREM', index, job.id) end
    set_fields(job, fields)
    for _, index in ipairs(lists_of(job)) do redis.call('ZADD', index, job.seq, job.id) end
  end

  -- What its first run has reported stays as it is; no job prunes it where the new one has no
  -- callback.
  local function keep_first_delivery(job, entry, now)
    freeze_payload(job)
    if job.callback ~= '' and entry.callback == '' then
      retain_until(delivery_id_of(job, job.run), digits(now + CONF.keep))
    end
  end

  local function is_unwanted(entry)
    return entry.kind == 'dm' and
      is_suppressed(entry.account, entry.to, (entry.who or '') .. ' ' .. (entry.was or ''))
  end

  -- Begins the run of a job that was filled in.
  local function begin(job, entry, now, requester)
    local by, why = requester.by, job_actions.entry_of(WHY, requester)
    if is_unwanted(entry) then
      audit(now, 'refuse', 'recipient_suppressed', 'intake', job.account, job)
      mark_queued(job, now, by, why)
      return finalize(job, 'failed', now, 'intake', 'rejected at creation', nil, SUPPRESSED_ERROR)
    end
    schedule_expiry(job)
    if starts_at(entry, now) <= now then return requeue_or_grant(job, now, by, why) end
    transition(job, 'scheduled', now, by, why)
    redis.call('ZADD', 'hg:due', job.run_at, job.id)
  end

  -- Fills in a job that was rejected at creation: the same job, in its next run.
  local function fill_in(job, entry, now, requester)
    keep_first_delivery(job, entry, now)
    set_indexed_fields(job, fields_of(entry, job, now))
    redis.call('SET', 'hg:jobtext:' .. job.id, entry.text)
    redis.call('ZREM', 'hg:retention', job.id)
    audit(now, 'replace', job_actions.words_of(requester), requester.by, job.account, job,
      requester.address)
    begin(job, entry, now, requester)
  end

  -- Makes the job of an entry, or finds the one that there is; returns its id and what was done:
  -- 'created' | 'replaced' | nil.
  local function make(entry, now, requester)
    local job = load_job(entry.id)
    if not job then
      local id = create_job(entry, entry.source, now)
      return id, id == entry.id and 'created' or nil
    end
    if entry.error or is_newer(job) or not is_empty(job) then return job.id end
    local keep_ms = math.max(starts_at(entry, now), now) - now + CONF.keep
    local owner = claim_once_keys(entry, entry.id, keep_ms)
    if owner ~= job.id then return owner end
    fill_in(job, entry, now, requester)
    return job.id, 'replaced'
  end

  -- Adds jobs to a known event. Parameters: event (source:id), entries (draft_encoding.py), notes
  -- (what each rule made of the event, JSON), new_names (what list_plain_names.lua lists, each with
  -- the name of its tombstone). Returns the ids of all its jobs, and of those that were created and
  -- replaced; nil when the event is gone or a newer release has written it.
  function event_jobs.add(event, entries, notes, new_names, now, requester)
    local key = 'hg:event:' .. event
    local before = load_hash(key)
    if not before or is_newer(before) then return nil end
    local ids, seen, done = cjson.decode(before.jobs), {}, {created = {}, replaced = {}}
    for _, id in ipairs(ids) do seen[id] = true end
    for _, entry in ipairs(entries) do
      local id, what = make(entry, now, requester)
      if id ~= entry.id then link_event(id, event) end
      if is_erased(id) then tombstones.replace_event(event, new_names) end
      if what then table.insert(done[what], id) end
      if not seen[id] then
        seen[id] = true
        ids[#ids + 1] = id
      end
    end
    redis.call('HSET', key, 'jobs', ids[1] and cjson.encode(ids) or '[]', 'notes', notes)
    event_indexes.move(before, {seq = before.seq, type = before.type, status = before.status,
      notes = notes}, event)
    return ids, done.created, done.replaced
  end
end
