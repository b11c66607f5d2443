#!lua flags=allow-oom
-- Ends an uncertain job in the way that a person says its write went.
-- ARGV   job_id, to (succeeded: the write is there | failed: it is not), by (who settles it),
--        address (where that came from, '' for none), note (JSON: their words, or null)
-- Reply  ok | refused (the job is not uncertain) | erased (what it said of a person was erased, and
--        a note could not be found again by that person's name) | newer (a newer release has
--        written the record) | none
-- Keeps  settling is a run of its own, which ends in the step that opens it: so its callback is one
--        more, every release finds it by the job's run, and that of the uncertain run stays as it
--        was sent. The same again changes nothing.
--- @include "audit_log"
--- @include "suppression"
--- @include "finalize"
local job_id, to, by, address, note = unpack(ARGV)
local SETTLED_AS = {succeeded = 'sent', failed = 'not_sent'}
local as = SETTLED_AS[to]
-- What the result begins with, by which the same request is known again.
local HEAD = '{"settled":{"as":"' .. as .. '",'
local job, now = load_job(job_id), now_ms()
if not job then return 'none' end
if is_newer(job) then return 'newer' end
if job.status == to and string.sub(job.result, 1, #HEAD) == HEAD then
  -- Written again, so that a caller who sends again waits until it is durable.
  set_fields(job, {status = to})
  return 'ok'
end
if job.status ~= 'uncertain' then return 'refused' end
if note ~= 'null' and rawget(job, 'erased') then return 'erased' end

-- What a worker would have reported of the write, as far as it is known.
local function known_ids()
  local known, ids = {thread_id = job.looked_in, client_context = job.context}, ''
  for _, name in ipairs(to == 'succeeded' and {'thread_id', 'client_context'} or {}) do
    if known[name] ~= '' then ids = ids .. ',"' .. name .. '":' .. cjson.encode(known[name]) end
  end
  return ids
end

-- The recipient may not have it again so soon. The intent has remembered that already, but a store
-- that lost history may lack it.
local function remember_write()
  if job.kind ~= 'dm' or job.pk == '' then return end
  redis.call('SET', thread_key(job.account, job.pk), '1', 'PX', digits(CONF.keep))
  local key, left = repeat_key(job, job.pk), job.intent_at + CONF.repeats - now
  if key and left > 0 then redis.call('SET', key, job.id, 'PX', digits(left), 'NX') end
  history.remember_token(job, job.context, tonumber(job.intent_at))
end

-- It is as free to be sent as after a failure; a retry still looks for it before it writes
-- (intent_at), for people err.
local function forget_write()
  if job.pk ~= '' then forget_recipient(job) end
end

-- `retryable` is what machines go by, and this end was a person's decision.
local NOT_SENT = '{"code":"settled_not_sent","message":"A person has settled that the write did' ..
  ' not reach Instagram. POST /jobs/{id}/retry looks for it once more and then sends.",' ..
  '"retryable":false}'
local result = HEAD .. '"by":' .. cjson.encode(by) .. ',"at":"' .. rfc3339(now) .. '","note":' ..
  note .. '}' .. known_ids() .. '}'
if to == 'succeeded' then remember_write() else forget_write() end
freeze_payload(job)
set_fields(job, {run = job.run + 1})
finalize(job, to, now, by, 'settled as ' .. as, result, to == 'failed' and NOT_SENT or nil)
audit(now, 'settle', as, by, job.account, job, address)
return 'ok'
