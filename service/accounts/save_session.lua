#!lua flags=allow-oom
-- Replaces an account's encrypted session if nobody replaced it since it was read.
--
-- KEYS[1]  hash: the session (version, blob)
-- KEYS[2]  list: earlier blobs, newest first
-- ARGV[1]  version the caller read; 0 when it found none
-- ARGV[2]  the new blob
-- ARGV[3]  how many earlier blobs to keep
--
-- Reply      the new version, or -1 when another version is stored
-- Invariant  versions only grow; a blob leaves the hash for the list, never into nothing

local stored = tonumber(redis.call('HGET', KEYS[1], 'version') or '0')
if stored ~= tonumber(ARGV[1]) then
  return -1
end

local earlier = redis.call('HGET', KEYS[1], 'blob')
if earlier then
  redis.call('LPUSH', KEYS[2], earlier)
  redis.call('LTRIM', KEYS[2], 0, tonumber(ARGV[3]) - 1)
end
redis.call('HSET', KEYS[1], 'version', stored + 1, 'blob', ARGV[2])
return stored + 1
