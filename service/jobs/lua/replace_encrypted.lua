-- Replaces a body, text or photo by one that says the same, encrypted in another way or not.
-- ARGV   key, read (SHA-1 of the value that was read), new_key (where the value is to be), new,
--        job_id ('' for a body), encrypted ('1' where `new` is encrypted, or '')
-- Reply  ok | changed (another value is stored) | busy (somebody works on the job, perhaps of an
--        older release, which must not find what it cannot read)
-- Keeps  a newer value is never overwritten; when it expires stays as it is. The version of the
--        job's record says that something of it is encrypted as long as something is. A text that
--        cannot be read here any more has its hash in the record.
--- @include "config"
--- @include "clock"
--- @include "records"
--- @include "suppression"
local key, read, new_key, new, job_id, encrypted = unpack(ARGV)
local stored = redis.call('GET', key)
if not stored or redis.sha1hex(stored) ~= read then return 'changed' end

local MAGIC, MAGIC_TEXT = '\0hg1', 'AGhnM'  -- service/encryption/cipher.py

local function begins_with(name, head)
  return string.sub(redis.call('GET', name) or '', 1, #head) == head
end

-- Whether what the job has besides is encrypted.
local function is_other_encrypted(job)
  if key == 'hg:jobtext:' .. job.id then return begins_with('hg:jobphoto:' .. job.id, MAGIC) end
  return job.v == VERSION and begins_with('hg:jobtext:' .. job.id, MAGIC_TEXT)
end

local function is_plain_text(job)
  return key == 'hg:jobtext:' .. job.id and
    (job.v == PLAIN_VERSION or not begins_with(key, MAGIC_TEXT))
end

if job_id ~= '' then
  local job = load_job(job_id)
  if not job or is_newer(job) then return 'changed' end
  local says = encrypted == '1' and is_plain_text(job) and text_hash(job)
  local needs = (encrypted == '1' or is_other_encrypted(job)) and VERSION or PLAIN_VERSION
  if job.v ~= needs then
    if job.owner ~= '' and tonumber(job.lease) > now_ms() then return 'busy' end
    set_fields(job, {v = needs})
  end
  if says then set_fields(job, {text_hash = says}) end
end
local left = redis.call('PTTL', key)
redis.call('DEL', key)
redis.call('SET', new_key, new)
if left >= 0 then redis.call('PEXPIRE', new_key, math.max(1, left)) end
return 'ok'
