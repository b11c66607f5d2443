#!lua flags=allow-oom
-- Replaces an encrypted value of an account by one that says the same, unless another was stored
-- since it was read.
--
-- KEYS[1]  hash, list or string: where it is
-- ARGV[1]  in a hash the field, in a list the index, '' for a string
-- ARGV[2]  the value that was read
-- ARGV[3]  the new value
--
-- Reply      1 if it was replaced, 0 if it is not there any more
-- Invariant  a newer value is never overwritten; the version of a session and when a value expires
--            stay as they are

local key, place, read, new = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local kind = redis.call('TYPE', key).ok
if kind == 'hash' and redis.call('HGET', key, place) == read then
  redis.call('HSET', key, place, new)
elseif kind == 'list' and redis.call('LINDEX', key, place) == read then
  local all = redis.call('LRANGE', key, 0, -1)
  all[place + 1] = new
  redis.call('DEL', key)
  redis.call('RPUSH', key, unpack(all))
elseif kind == 'string' and redis.call('GET', key) == read then
  redis.call('SET', key, new, 'KEEPTTL')
else
  return 0
end
return 1
