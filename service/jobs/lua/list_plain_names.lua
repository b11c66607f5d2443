#!lua flags=no-writes
-- Lists the keys by which jobs and events are found again, and whose names end with a plain hash.
-- ARGV   for each: a job's id, or an event (source:id)
-- Reply  for each: the names of its business keys, and of the bodies of its events
-- Keeps  reads only.
--- @include "tombstones"
local replies = {}
for i = 1, #ARGV do
  local id = ARGV[i]
  if string.find(id, ':', 1, true) then
    replies[i] = tombstones.names_of_event(id)
  else
    local job = load_job(id)
    replies[i] = job and tombstones.names_of_job(job) or {}
  end
end
return replies
