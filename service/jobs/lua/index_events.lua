#!lua flags=allow-oom
-- Lists events in the indexes that an earlier release does not write.
-- ARGV   events (source:id)
-- Reply  how many were not listed as they should be
-- Keeps  an event is listed as its record says; what a newer release has written is left to it.
--- @include "records"
--- @include "event_indexes"
local added = 0
for i = 1, #ARGV do
  local member = ARGV[i]
  local event = load_hash('hg:event:' .. member)
  if event and not is_newer(event) then
    local before = added
    for _, index in ipairs(event_indexes.of(event)) do
      if redis.call('ZADD', index, event.seq, member) == 1 then added = before + 1 end
    end
  end
end
return added
