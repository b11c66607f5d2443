#!lua flags=allow-oom
-- Erases what jobs say about persons, and what is kept for their sake.
-- ARGV   by (who asks), then for each job: job_id, to, pk (as the caller has read them), to_key,
--        pk_key (the keys of these two, '' for none; see person_keys.py), new_names (JSON: what
--        list_plain_names.lua lists, each with the name of its tombstone)
-- Reply  for each job: erased | busy (its write may be under way, and is not begun again; or it
--        runs and stops before its write) | changed (its recipient, or what it is known by, is
--        another by now) | newer (a newer release has written it) | none (there is none, or it was
--        erased)
-- Keeps  each job is erased whole: its texts, its recipient, what its event said, its caches. What
--        stays names nobody, and keeps a write from being made twice: the job's id, event, rule,
--        state and times; its key of idempotency; and who is not to be written to, under the
--        person's key. What has not begun is canceled. A callback that is owed goes out, and says
--        what the record still does.
--- @include "arguments"
--- @include "suppression"
--- @include "people"
--- @include "finalize"
--- @include "erasure"
local by = unpack(ARGV)
local now = now_ms()
local FIRST_JOB, ARGUMENTS = 2, 6

-- Whether the caller has read of every key by which the job is found.
local function knows_names(new_names, job)
  for _, name in ipairs(tombstones.names_of_job(job)) do
    if not new_names[name] then return false end
  end
  return true
end

-- Ends a job that has written nothing; returns why it cannot.
local function end_unended(job)
  if FINAL[job.status] then return nil end
  -- One that is sending is canceled if its write turns out not to have been made.
  if job.status == 'running' or job.status == 'sending' then
    set_fields(job, {cancel = by})
    return 'busy'
  end
  if tonumber(job.intent_at) > 0 then return 'busy' end
  set_fields(job, {metadata = ''})
  finalize(job, 'canceled', now, by, 'erased')
end

local function erase(id, to, pk, to_key, pk_key, new_names)
  local job = load_job(id)
  if not job or job.erased then return 'none' end
  if is_newer(job) then return 'newer' end
  if job.to ~= to or job.pk ~= pk or not knows_names(new_names, job) then
    return 'changed'
  end
  local why_not = end_unended(job)
  if why_not then return why_not end
  erasure.keep_repeat(job, pk_key)
  erasure.keep_suppressions(job, to, to_key)
  if pk_key ~= '' then erasure.keep_suppressions(job, pk, pk_key) end
  erasure.keep_idempotency(job)
  tombstones.replace_once(job, new_names)
  erasure.erase_events(job, new_names)
  erasure.erase_caches(job)
  erasure.erase_record(job, now)
  erasure.erase_deliveries(job)
  return 'erased'
end

local replies = {}
for id, to, pk, to_key, pk_key, new_names in argument_groups(ARGV, FIRST_JOB, ARGUMENTS) do
  replies[#replies + 1] = erase(id, to, pk, to_key, pk_key, cjson.decode(new_names))
end
return replies
