#!lua flags=allow-oom
-- Replaces a batch of rows of a follower export by one in which a user's row is empty.
-- ARGV   job_id, before (the batch's member in hg:rows:{id}), after, pk (the user's), pk_key (the
--        user's key)
-- Reply  1 when it was replaced, else 0 (it is not there any more)
-- Keeps  the number of rows and of user ids, by which an export knows that it has lost none.
--- @include "follower_pages"
local job_id, before, after, pk, pk_key = unpack(ARGV)
local at = redis.call('ZSCORE', rows_key(job_id), before)
if not at then return 0 end
-- Added before the other is removed: a key that is empty in between would lose its expiry.
redis.call('ZADD', rows_key(job_id), at, after)
redis.call('ZREM', rows_key(job_id), before)
if redis.call('SISMEMBER', seen_key(job_id), pk) == 1 then
  redis.call('SADD', seen_key(job_id), '#' .. pk_key)
  redis.call('SREM', seen_key(job_id), pk)
end
return 1
