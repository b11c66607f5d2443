#!lua flags=allow-oom
-- The stranded-work sweep: looks through one page of unended work for what no index leads to.
-- ARGV   1 index of unended work (hg:jobs:status:{s} or hg:dlvs:status:{s})  2 cursor (seq, exclusive)
--        3 page size
-- Reply  {next cursor or '', how many were rung again}
-- Keeps  what ends elsewhere is left alone: only work that neither a claim, a due time, a wake-up,
--        a line, a turn nor a held list would ever wake is rung.
local now, rung, last = clock(), 0, ''

local function listed(id, account)
  for _, index in ipairs({'hg:due', 'hg:wakes', 'hg:leases'}) do
    if redis.call('ZSCORE', index, id) then return true end
  end
  if not account then return false end
  local key = 'hg:acct:' .. account
  if redis.call('ZSCORE', key .. ':held', id) then return redis.call('HEXISTS', key, 'hold') == 1 end
  if not redis.call('ZSCORE', key .. ':line', id) then return false end
  return redis.call('ZSCORE', 'hg:turns', account) ~= false
end

local function rescue(id)
  if string.sub(id, 1, 4) == 'dlv_' then
    if listed(id) then return end
    redis.call('ZADD', 'hg:due', now, id)
  else
    local job = load_job(id)
    if not job or FINAL[job.status] or listed(id, job.account) then return end
    note(job, now, job.status, 'sweep', 'nothing led to it')
    if job.status == 'queued' then
      ring(id, job.kind, now)
    else
      redis.call('ZADD', job.status == 'running' and 'hg:leases' or 'hg:due', now, id)
    end
  end
  rung = rung + 1
end

local page = redis.call('ZRANGEBYSCORE', ARGV[1], '(' .. ARGV[2], '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[3])
for i = 1, #page, 2 do
  rescue(page[i])
  last = page[i + 1]
end
if #page < 2 * tonumber(ARGV[3]) then last = '' end
return {last, rung}
