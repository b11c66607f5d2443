-- Whom an account must not write to: users who asked to be left alone, and those who have just had
-- the same message. service/accounts/suppressions.py keeps hg:suppressed, whose fields are
-- '{account or *}:{username or pk:N}'. What must outlive a person's erasure is stored under the
-- person's key (person_keys.py): fields '{account or *}:#{key}', and repeats under the key's hash.
--- @include "config"
--- @include "clock"
--- @include "records"

-- A recipient as the list names it: `some.handle`, `@123` for a username of digits, or a numeric
-- user id.
local function suppression_name(to)
  if string.match(to, '^%d+$') then return 'pk:' .. to end
  return string.lower((string.gsub(to, '^@', '')))
end

-- `to` is the recipient as the job has it, `keys` the recipient's keys between spaces; more names
-- of the same user may follow.
local function is_suppressed(account, to, keys, ...)
  if run.any_suppressed == nil then
    run.any_suppressed = redis.call('EXISTS', 'hg:suppressed') == 1
  end
  if not run.any_suppressed then return false end
  local names, fields = {suppression_name(to), ...}, {}
  for key in string.gmatch(keys or '', '%S+') do names[#names + 1] = '#' .. key end
  for _, name in ipairs(names) do
    fields[#fields + 1] = '*:' .. name
    fields[#fields + 1] = account .. ':' .. name
  end
  for _, since in ipairs(redis.call('HMGET', 'hg:suppressed', unpack(fields))) do
    if since then return true end
  end
  return false
end

local SUPPRESSED_ERROR = '{"code":"recipient_suppressed","message":"The recipient is on the' ..
  ' do-not-contact list.","retryable":false}'

-- Tells messages apart without storing their text.
local function content_hash(content) return string.sub(redis.sha1hex(content), 1, 16) end

-- Ended jobs whose text is plain have no hash, and neither have records of an early release.
local function text_hash(job)
  if (job.text_hash or '') ~= '' then return job.text_hash end
  return content_hash(redis.call('GET', 'hg:jobtext:' .. job.id) or '')
end

-- Names what a recipient may have once in CONF.repeats: the same rule, or text where there is no
-- rule. Nil where that is not limited. `recipient` is a pk, or the key of one who was erased.
local function repeat_key(job, recipient)
  if CONF.repeats == 0 or job.kind ~= 'dm' then return nil end
  local rule = cjson.decode(job.source).rule
  local template = type(rule) == 'string' and 'rule:' .. rule or 'text:' .. text_hash(job)
  return 'hg:repeat:' .. redis.sha1hex(recipient .. '\n' .. template)
end

-- The other job that lately had this recipient and template, and the key that remembers it; nil for
-- none. `pk_keys` are the keys of the pk, between spaces.
local function recent_duplicate(job, pk, pk_keys)
  local keys = {repeat_key(job, pk)}
  if not keys[1] then return nil end
  for key in string.gmatch(pk_keys or '', '%S+') do keys[#keys + 1] = repeat_key(job, key) end
  for i, earlier in ipairs(redis.call('MGET', unpack(keys))) do
    if earlier and earlier ~= job.id then return earlier, keys[i] end
  end
end

local function remember_recipient(job, pk)
  local key = repeat_key(job, pk)
  if key then redis.call('SET', key, job.id, 'PX', digits(CONF.repeats)) end
end

-- A write that certainly did not happen is no duplicate.
local function forget_recipient(job)
  local key = repeat_key(job, job.pk)
  if key and redis.call('GET', key) == job.id then redis.call('DEL', key) end
end

-- Kept for as long as another DM to the same user is likely.
local function thread_key(account, pk) return 'hg:thread:' .. account .. ':' .. pk end
