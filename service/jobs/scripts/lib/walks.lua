-- Walks over followers: a job that reads one page a claim and stands in line again.
--   hg:rows:{id}    zset: how many rows come before -> those of one page, packed (service/walks)
--   hg:walked:{id}  set: the pks that are among them, while there are pages to come
-- In the job's hash: pk (whose), cursor (of the next page), pages, users, expected, most, eta.

local function is_walk(job) return READS[job.kind] == 'walk' end

local function rows_key(id) return 'hg:rows:' .. id end

local function walked_key(id) return 'hg:walked:' .. id end

-- Its rows are kept for a while after its end; the pks only as long as it may go on.
local function close_walk(job)
  redis.call('PEXPIRE', rows_key(job.id), CONF.keep_bodies)
  if job.status == 'failed' then
    redis.call('PEXPIRE', walked_key(job.id), CONF.keep_bodies)
  else
    redis.call('UNLINK', walked_key(job.id))
  end
end

-- A failed walk goes on where it was: false when its rows are no longer kept.
local function reopen_walk(job)
  if tonumber(job.users or 0) == 0 then return true end
  return redis.call('PERSIST', rows_key(job.id)) == 1 and redis.call('PERSIST', walked_key(job.id)) == 1
end
