-- Whom an account must not write to: who asked to be left alone, and who has just had the same.
-- hg:suppressed is kept by service/accounts/suppressions.py: '{account or *}:{username or pk:N}'.

-- A recipient as the list names it: `some.handle`, `@123` for a name of digits, `314159` for a pk.
local function listed_as(to)
  if string.match(to, '^%d+$') then return 'pk:' .. to end
  return string.lower((string.gsub(to, '^@', '')))
end

-- `to`: as a job has it; further names may follow.
local function is_suppressed(account, to, ...)
  if run.any_suppressed == nil then run.any_suppressed = redis.call('EXISTS', 'hg:suppressed') == 1 end
  if not run.any_suppressed then return false end
  local fields = {}
  for _, name in ipairs({listed_as(to), ...}) do
    fields[#fields + 1] = '*:' .. name
    fields[#fields + 1] = account .. ':' .. name
  end
  for _, since in ipairs(redis.call('HMGET', 'hg:suppressed', unpack(fields))) do
    if since then return true end
  end
  return false
end

local SUPPRESSED = '{"code":"recipient_suppressed","message":"The recipient is on the list of' ..
  ' people who are not to be written to.","retryable":false}'

-- What tells one message from another, where no rule does; never what it says.
local function hash_of(says) return string.sub(redis.sha1hex(says), 1, 16) end

-- Neither what has ended nor a record of an early release has one.
local function text_hash(job)
  if (job.text_hash or '') ~= '' then return job.text_hash end
  local text = redis.call('GET', 'hg:jobtext:' .. job.id) or ''
  return hash_of(text)
end

-- What is at most once in CONF.repeats: the same recipient and rule, or text where there is none.
local function repeat_key(job, pk)
  if CONF.repeats == 0 or job.kind ~= 'dm' then return nil end
  local rule = cjson.decode(job.source).rule
  local template = type(rule) == 'string' and 'rule:' .. rule or 'text:' .. text_hash(job)
  return 'hg:repeat:' .. redis.sha1hex(pk .. '\n' .. template)
end

-- Which job has had this recipient and template lately; nil where none but this one has.
local function repeated(job, pk)
  local key = repeat_key(job, pk)
  local earlier = key and redis.call('GET', key)
  return earlier and earlier ~= job.id and earlier or nil
end

local function remember_recipient(job, pk)
  local key = repeat_key(job, pk)
  if key then redis.call('SET', key, job.id, 'PX', digits(CONF.repeats)) end
end

-- Kept for as long as a DM to somebody once written to is likely.
local function thread_key(account, pk) return 'hg:thread:' .. account .. ':' .. pk end

-- What is known not to have been written is no repetition.
local function forget_recipient(job)
  local key = repeat_key(job, job.pk)
  if key and redis.call('GET', key) == job.id then redis.call('DEL', key) end
end
