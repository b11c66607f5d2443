#!lua flags=allow-oom
-- Records that a person was erased, or a part of what was kept.
-- ARGV   by (who asked), address (where that came from, '' for none), person (the key of the name
--        that was asked for)
-- Reply  nothing
-- Keeps  no name: only who has SECRET_KEY can tell whether an entry is about somebody.
--- @include "audit_log"
local by, address, person = unpack(ARGV)
audit(now_ms(), 'erase', 'person ' .. person, by, '*', nil, address)
