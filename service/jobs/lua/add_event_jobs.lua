-- Adds to a known event the jobs of rules that had made none.
-- ARGV   1 source:id of the event  2 new jobs (JSON list of entries)  3 notes (JSON)
-- Reply  all job ids of the event as JSON, or false when the event is gone
-- Keeps  a rule that has its job keeps that one: ids derive from event and rule.
local key = 'hg:event:' .. ARGV[1]
local jobs = redis.call('HGET', key, 'jobs')
if not jobs then return false end
local now, ids, seen = clock(), cjson.decode(jobs), {}
for _, id in ipairs(ids) do seen[id] = true end
for _, entry in ipairs(cjson.decode(ARGV[2])) do
  local id = create_job(entry, entry.source, now)
  if not seen[id] then
    seen[id] = true
    ids[#ids + 1] = id
  end
end
jobs = #ids > 0 and cjson.encode(ids) or '[]'
redis.call('HSET', key, 'jobs', jobs, 'notes', ARGV[3])
return jobs
