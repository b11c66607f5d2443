-- Adds to a known event the jobs of rules that had made none.
-- ARGV   event (source:id), entries (the new jobs: a JSON list, see draft_encoding.py), notes (what
--        each rule made of the event, JSON), by (who asks; '' for more jobs of the same act),
--        address (where that came from, '' for none), reference (JSON: source, event_id),
--        new_names (JSON: what list_plain_names.lua lists, each with the name of its tombstone)
-- Reply  all job ids of the event (JSON), or false when the event is gone or a newer release has
--        written it
-- Keeps  a rule that has its job keeps that one: ids derive from event and rule. Of what an event
--        says that comes to list an erased job nothing is kept.
--- @include "create_job"
--- @include "people"
--- @include "tombstones"
--- @include "event_indexes"
local event, entries, notes, by, address, reference, new_names = unpack(ARGV)
local key = 'hg:event:' .. event
local before = load_hash(key)
if not before or is_newer(before) then return false end
local now, ids, seen = now_ms(), cjson.decode(before.jobs), {}
for _, id in ipairs(ids) do seen[id] = true end
for _, entry in ipairs(cjson.decode(entries)) do
  local id = create_job(entry, entry.source, now)
  if id ~= entry.id then link_event(id, event) end
  if is_erased(id) then tombstones.replace_event(event, cjson.decode(new_names)) end
  if not seen[id] then
    seen[id] = true
    ids[#ids + 1] = id
  end
end
local jobs = #ids > 0 and cjson.encode(ids) or '[]'
redis.call('HSET', key, 'jobs', jobs, 'notes', notes)
event_indexes.move(before, {seq = before.seq, type = before.type, status = before.status,
  notes = notes}, event)
if by ~= '' then audit(now, 'replay', '', by, '*', {source = reference}, address) end
return jobs
