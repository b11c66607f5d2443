-- Removes an entry of the suppression list, and records who did so.
--
-- KEYS[1]  hash: the entries
-- KEYS[2]  zset: their order
-- KEYS[3]  stream: the audit log
-- ARGV[1]  the fields that the entry may have, with a space between them
-- ARGV[2]  and further: fields and values of the audit log's entry
--
-- Reply      1, or 0 if there was no such entry
-- Invariant  the hash and the zset have the same members; what was removed is in the audit log

local entries, order, audit_log = KEYS[1], KEYS[2], KEYS[3]
local removed = 0

for field in string.gmatch(ARGV[1], '%S+') do
  redis.call('ZREM', order, field)
  removed = removed + redis.call('HDEL', entries, field)
end
if removed == 0 then
  return 0
end
redis.call('XADD', audit_log, '*', unpack(ARGV, 2))
return 1
