-- Events as they are stored (records.lua).
--- @include "records"
--- @include "event_indexes"

local event_records = {}
do
  local function event_key(member) return 'hg:event:' .. member end

  function event_records.load(member) return load_hash(event_key(member)) end

  function event_records.erase_body(member)
    redis.call('DEL', 'hg:encbody:' .. member, 'hg:eventbody:' .. member)
  end

  -- Forgets by what data an event can be told from another with its id.
  function event_records.forget_data(member, event)
    local bodies = {}
    for field in pairs(event) do
      if string.find(field, '^known:') then bodies[#bodies + 1] = field end
    end
    redis.call('HSET', event_key(member), 'fingerprint', '')
    if bodies[1] then redis.call('HDEL', event_key(member), unpack(bodies)) end
  end

  -- Deletes an event, and takes it out of every index.
  function event_records.drop(member)
    -- One that is broken, or gone, must not stop the others.
    local is_sound, indexes = pcall(event_indexes.of, event_records.load(member))
    for _, index in ipairs(is_sound and indexes or {'hg:events'}) do
      redis.call('ZREM', index, member)
    end
    redis.call('ZREM', 'hg:retention', member)
    redis.call('ZREM', 'hg:unfinished', member)
    redis.call('DEL', event_key(member), 'hg:deferred:' .. member)
    event_records.erase_body(member)
  end
end
