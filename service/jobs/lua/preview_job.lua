#!lua flags=no-writes
-- Tells what would become of a job, without making it.
-- ARGV   1 entry (JSON, as for create)  2 the recipient's pk, '' where it is not known
-- Reply  {decision, reason, earliest (ms), whether only a person can change it}; decision:
--        send | wait | refuse
-- Keeps  reads only; what it says holds for this moment.
local entry, now = cjson.decode(ARGV[1]), clock()
local job = {id = '', kind = entry.kind, account = entry.account, status = 'queued', thread = '',
  source = entry.source, text_hash = hash_of(entry.says or entry.text)}
if job.kind == 'dm' then
  local known = ARGV[2] ~= '' and redis.call('EXISTS', thread_key(job.account, ARGV[2])) == 1
  -- Whoever was not written to before has no thread, as a rule; a photo never opens one.
  job.thread = (known or entry.photo) and 'old' or 'new'
end
local begins = math.max(now, entry.run_at or now + entry.delay)

if job.kind == 'dm' then
  if is_suppressed(job.account, entry.to, ARGV[2] ~= '' and 'pk:' .. ARGV[2] or nil) then return {'refuse', 'recipient_suppressed', 0, 1} end
  if ARGV[2] ~= '' and repeated(job, ARGV[2]) then
    local left = redis.call('PTTL', repeat_key(job, ARGV[2]))
    if begins < now + left then return {'refuse', 'recipient_repeated', digits(now + left), 0} end
  end
end
local why, till = door(job.account, account_of(job.account), lane_of(job), now)
if why and till == 0 then return {'wait', why, 0, 1} end
local place = redis.call('ZCARD', line_key(job.account, lane_of(job)))
if begins > now and begins >= (till or 0) then
  why, till = 'scheduled', begins
elseif not why and (place > 0 or is_taken(job.account, now)) then
  why, till = 'turn', now
end
local expires = entry.expires_at or (entry.expires and now + entry.expires)
if expires and math.max(till, begins) >= expires then return {'refuse', 'expired', digits(expires), 0} end
return {why and 'wait' or 'send', why or '', digits(math.max(till, begins)), 0}
