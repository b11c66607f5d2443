#!lua flags=allow-oom
-- Replaces an account's encrypted session unless another one was stored since it was read.
--
-- KEYS[1]  hash: the session (version, blob)
-- KEYS[2]  list: previous blobs, newest first
-- KEYS[3]  set: the accounts that have a session
-- KEYS[4]  stream: the audit log
-- ARGV[1]  version the caller read; 0 if it found none
-- ARGV[2]  the new blob
-- ARGV[3]  how many previous blobs to keep
-- ARGV[4]  the account
-- ARGV[5]  and further: fields and values of the audit log's entry; none for a worker's own session
--
-- Reply      the new version, or -1 if another version is stored
-- Invariant  versions only grow; a replaced blob is kept in the list; a person's import is in the
--            audit log

local session, earlier, accounts, audit_log = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local read_version, blob, max_earlier = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])
local account = ARGV[4]

local stored_version = tonumber(redis.call('HGET', session, 'version') or '0')
if stored_version ~= read_version then
  return -1
end

local replaced = redis.call('HGET', session, 'blob')
if replaced then
  redis.call('LPUSH', earlier, replaced)
  redis.call('LTRIM', earlier, 0, max_earlier - 1)
end
redis.call('SADD', accounts, account)
redis.call('HSET', session, 'version', stored_version + 1, 'blob', blob)
if #ARGV > 4 then
  redis.call('XADD', audit_log, '*', unpack(ARGV, 5))
end
return stored_version + 1
