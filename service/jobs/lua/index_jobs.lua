#!lua flags=allow-oom
-- Lists jobs in the indexes that an earlier release does not write (job_indexes.lua).
-- ARGV   which (new: the jobs after `upto` of hg:indexed | again: those after its `again`, which
--        begins anew after the last), limit (the most jobs to look at)
-- Reply  {how many jobs were looked at: there are no more if it is less than the limit; how many
--        entries were missing}
-- Keeps  up to `upto`, every job was listed by what does not change. What an earlier release has
--        changed of a job after that, its error, is found by the next round of `again`. What a
--        newer release has written is left to it.
--- @include "records"
--- @include "job_indexes"
local which, limit = unpack(ARGV)
local POSITIONS = {new = 'upto', again = 'again'}
local position, missing = POSITIONS[which], 0

local function add_entry(index, job)
  missing = missing + redis.call('ZADD', index, job.seq, job.id)
end

-- A broken record is left to `heliograph doctor`.
local function check_job(id)
  local done, job = pcall(load_job, id)
  if done and job and not is_newer(job) then pcall(job_indexes.visit_added, job, add_entry) end
end

local after = redis.call('HGET', 'hg:indexed', position) or '0'
local rows = redis.call('ZRANGE', 'hg:jobs', '(' .. after, '+inf', 'BYSCORE', 'LIMIT', 0, limit,
  'WITHSCORES')
for i = 1, #rows, 2 do check_job(rows[i]) end
local looked, last = #rows / 2, rows[#rows]
if which == 'again' and looked < tonumber(limit) then last = '0' end
if last then redis.call('HSET', 'hg:indexed', position, last) end
return {looked, missing}
