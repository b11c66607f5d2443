-- Whom jobs are about: what is kept about a person is found by a keyed hash of their name, so that
-- no name is in a key of the store (service/jobs/person_keys.py).
--   hg:who:{key}     zset seq -> job; a job's field `who` has the keys of its persons, so that it
--                    leaves these indexes when it is pruned
--   hg:traces:{key}  set: the names of keys, not of jobs, that show the person; expires with the
--                    newest of them
--- @include "config"
--- @include "clock"
--- @include "records"
--- @include "batch"

-- With as many, the field fits into a compact hash (person_keys.py).
local MAX_KEYS = 3
-- As long as the longest copy of a profile or post is kept.
local TRACES_MS = 7 * 86400000

-- Events that list a job which an earlier event has made: what they say is about its persons, too.
local function events_key(id) return 'hg:jobevents:' .. id end

local function link_event(id, member)
  redis.call('SADD', events_key(id), member)
  redis.call('PEXPIRE', events_key(id), digits(CONF.keep))
end

-- All events that list a job, as source:id.
local function events_of(job)
  local members, source = redis.call('SMEMBERS', events_key(job.id)), cjson.decode(job.source)
  if type(source.event_id) == 'string' then
    members[#members + 1] = source.source .. ':' .. source.event_id
  end
  return members
end

-- Whether what a job said of persons was erased: no person's key leads to it any more.
local function is_erased(id) return redis.call('HEXISTS', 'hg:job:' .. id, 'erased') == 1 end

local function is_any_erased(ids)
  for _, id in ipairs(ids) do
    if is_erased(id) then return true end
  end
  return false
end

-- What is left of an idempotency key's request once its job was erased, by a key of its person (''
-- for none): it is still recognized, and cannot be guessed.
local function erased_request(key, request) return redis.sha1hex(key .. '\n' .. request) end

-- Lists a new job under its persons.
local function index_new_job(job)
  for key in string.gmatch(job.who, '%S+') do add_to_index(person_index(key), job.seq, job.id) end
end

-- Lists a job under more persons, as far as there is room. Returns the keys of all, for its field.
local function index_persons(job, keys)
  local all, is_listed = {}, {}
  for key in string.gmatch(job.who, '%S+') do
    all[#all + 1], is_listed[key] = key, true
  end
  for key in string.gmatch(keys or '', '%S+') do
    if #all < MAX_KEYS and not is_listed[key] then
      redis.call('ZADD', person_index(key), job.seq, job.id)
      all[#all + 1], is_listed[key] = key, true
    end
  end
  return table.concat(all, ' ')
end

-- Remembers that a key of the store shows these persons.
local function trace_persons(keys, name)
  for key in string.gmatch(keys, '%S+') do
    redis.call('SADD', 'hg:traces:' .. key, name)
    redis.call('PEXPIRE', 'hg:traces:' .. key, digits(TRACES_MS))
  end
end
