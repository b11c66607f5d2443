-- Adds to a known event the jobs of rules that had made none, or had failed to fill theirs in.
-- ARGV   event (source:id), entries (the new jobs: a JSON list, see draft_encoding.py), notes (what
--        each rule made of the event, JSON), by (who asks), address (where that came from, '' for
--        none), is_next (1 if it is more of the same act, else 0), reference (JSON: source,
--        event_id), new_names (JSON: what list_plain_names.lua lists, each with the name of its
--        tombstone)
-- Reply  {all job ids of the event, those that were created, those that were replaced}, or false
--        when the event is gone or a newer release has written it
-- Keeps  a rule that has its job keeps that one: ids derive from event and rule. Only a job that
--        was rejected at creation and never got further is filled in, once. Of what an event says
--        that comes to list an erased job nothing is kept.
--- @include "event_jobs"
local event, entries, notes, by, address, is_next, reference, new_names = unpack(ARGV)
local now, requester = now_ms(), {by = by, address = address, reason = ''}
local ids, created, replaced = event_jobs.add(event, cjson.decode(entries), notes,
  cjson.decode(new_names), now, requester)
if not ids then return false end
if is_next == '0' then audit(now, 'replay', '', by, '*', {source = reference}, address) end
return {ids, created, replaced}
