-- What keeps something from being done twice, once the person whom it was about is erased. Until
-- then it is a key that ends with a plain hash, by which a copy of the store would confirm a guess;
-- its tombstone says the same under a name that ends with `#` and a keyed hash
-- (service/jobs/tombstone_names.py), which only the processes can compute.
--   hg:once:#{hash}, hg:once:fallback:#{hash}, hg:known:{source}:#{hash}    the tombstones of
--                    hg:once:{hash} and so on (records.lua)
--   hg:tombstones    exists as long as any of them does
--   hg:jobonce:{id}  set: names of the business keys that a job got from later events; expires
-- A job's field `once` has those that it was made with. An event's fields `known:{hash}` tell which
-- bodies it is known by.
--- @include "config"
--- @include "clock"
--- @include "records"
--- @include "people"
--- @include "event_records"

local tombstones = {}
do
  local ONCE, FALLBACK = 'hg:once:', 'hg:once:fallback:'

  local function gained_key(id) return 'hg:jobonce:' .. id end

  -- Whether there are any to look for.
  function tombstones.exist()
    if run.has_tombstones == nil then
      run.has_tombstones = redis.call('EXISTS', 'hg:tombstones') == 1
    end
    return run.has_tombstones
  end

  function tombstones.keep(name, value, keep_ms)
    redis.call('SET', name, value, 'PX', digits(keep_ms), 'NX')
    if redis.call('PTTL', 'hg:tombstones') < keep_ms then
      redis.call('SET', 'hg:tombstones', '1', 'PX', digits(keep_ms))
    end
    run.has_tombstones = true
  end

  -- Under which tombstones a job may be found that has one of an entry's business keys
  -- (draft_encoding.py).
  function tombstones.once(entry)
    local names = {}
    for i, endings in ipairs(entry.once_endings or {}) do
      for _, ending in ipairs(endings) do
        names[#names + 1] = ONCE .. ending
        if i == 1 then names[#names + 1] = FALLBACK .. ending end
      end
    end
    return names
  end

  -- Under which tombstones an erased job is to be found that has an entry's business keys.
  function tombstones.once_kept(entry)
    local names = {}
    for i, endings in ipairs(entry.once_endings or {}) do
      names[i] = (i == 1 and ONCE or FALLBACK) .. endings[1]
    end
    return names
  end

  -- The value and the name of the first of these keys that exists.
  function tombstones.first_value(names)
    for _, name in ipairs(names) do
      local value = redis.call('GET', name)
      if value then return value, name end
    end
  end

  -- The business keys that a job is made with, as its field `once` has them.
  function tombstones.once_field(names)
    local endings = {}
    for i, name in ipairs(names or {}) do endings[i] = string.sub(name, #ONCE + 1) end
    return table.concat(endings, ' ')
  end

  -- Remembers that a job has a business key which a later event had, too.
  function tombstones.add_once(id, name, keep_ms)
    redis.call('SADD', gained_key(id), name)
    redis.call('PEXPIRE', gained_key(id), digits(keep_ms))
  end

  -- The keys among these that have this value.
  local function leading_to(value, names)
    local found = {}
    for _, name in ipairs(names) do
      if redis.call('GET', name) == value then found[#found + 1] = name end
    end
    return found
  end

  local function once_names(job)
    local names = redis.call('SMEMBERS', gained_key(job.id))
    for ending in string.gmatch(job.once, '%S+') do names[#names + 1] = ONCE .. ending end
    return leading_to(job.id, names)
  end

  local function known_names(event)
    local names = {}
    for field in pairs(event) do
      local hash = string.match(field, '^known:(.+)$')
      if hash then names[#names + 1] = 'hg:known:' .. event.source .. ':' .. hash end
    end
    return leading_to(event.id, names)
  end

  -- The plain names by which an event is found: of the bodies that have reported it.
  function tombstones.names_of_event(member)
    local event = event_records.load(member)
    return event and known_names(event) or {}
  end

  -- The plain names by which a job is found: of its business keys, and of its events' bodies.
  function tombstones.names_of_job(job)
    local names = once_names(job)
    for _, member in ipairs(events_of(job)) do
      for _, name in ipairs(tombstones.names_of_event(member)) do names[#names + 1] = name end
    end
    return names
  end

  -- Puts tombstones in the place of keys; `new_names` has the name of each.
  local function replace(names, new_names)
    for _, name in ipairs(names) do
      local value, keep_ms = redis.call('GET', name), redis.call('PTTL', name)
      if new_names[name] then
        tombstones.keep(new_names[name], value, math.max(1, keep_ms))
        redis.call('DEL', name)
      end
    end
  end

  -- The business keys of a job still lead to it.
  function tombstones.replace_once(job, new_names)
    replace(once_names(job), new_names)
    redis.call('DEL', gained_key(job.id))
  end

  -- Erases what an event said: it stays known by its id, and by its bodies' tombstones. A
  -- fingerprint would confirm a guess, and is not needed: see accept_events.lua.
  function tombstones.replace_event(member, new_names)
    event_records.erase_body(member)
    local event = event_records.load(member)
    if not event or is_newer(event) then return end
    replace(known_names(event), new_names)
    event_records.forget_data(member, event)
  end
end
