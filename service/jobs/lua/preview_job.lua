#!lua flags=no-writes
-- Tells what would become of a job, without creating it.
-- ARGV   entry (JSON, as for create_job), pk (the recipient's user id, '' for unknown), pk_keys
--        (the keys of that id, between spaces)
-- Reply  {decision, reason, earliest (ms), 1 where only a person can change it}; decision: send |
--        wait | refuse
-- Keeps  reads only; the reply holds for this moment.
--- @include "suppression"
--- @include "account_queue"
local entry, pk, pk_keys = unpack(ARGV)
local now, draft = now_ms(), cjson.decode(entry)
local account = draft.account
local job = {id = '', kind = draft.kind, account = account, status = 'queued', thread = '',
  source = draft.source, text_hash = content_hash(draft.says or draft.text)}
if job.kind == 'dm' then
  local known = pk ~= '' and redis.call('EXISTS', thread_key(account, pk)) == 1
  -- As a rule there is no thread with a user who was not written to before; a photo never opens
  -- one.
  job.thread = (known or draft.photo) and 'old' or 'new'
end
local begins = math.max(now, draft.run_at or now + draft.delay)

if job.kind == 'dm' then
  local keys = table.concat({draft.who, draft.was or '', pk_keys}, ' ')
  if is_suppressed(account, draft.to, keys, pk ~= '' and 'pk:' .. pk or nil) then
    return {'refuse', 'recipient_suppressed', 0, 1}
  end
  local _, remembered = nil, nil
  if pk ~= '' then _, remembered = recent_duplicate(job, pk, pk_keys) end
  if remembered then
    local left = redis.call('PTTL', remembered)
    if begins < now + left then return {'refuse', 'recipient_repeated', digits(now + left), 0} end
  end
end
local sub_queue = sub_queue_of(job)
local why, till = blocked_by(account, load_account(account), sub_queue, now)
if why and till == 0 then return {'wait', why, 0, 1} end
local ahead = redis.call('ZCARD', queue_key(account, sub_queue))
if begins > now and begins >= (till or 0) then
  why, till = 'scheduled', begins
elseif not why and (ahead > 0 or is_turn_taken(account, now)) then
  why, till = 'turn', now
end
local expires = draft.expires_at or (draft.expires and now + draft.expires)
if expires and math.max(till, begins) >= expires then
  return {'refuse', 'expired', digits(expires), 0}
end
return {why and 'wait' or 'send', why or '', digits(math.max(till, begins)), 0}
