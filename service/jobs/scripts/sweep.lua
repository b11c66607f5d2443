#!lua flags=allow-oom
-- Looks through one page of unended work for what is not as it must be, and mends it if asked to.
-- ARGV   1 kind of index: hg:jobs:status: or hg:dlvs:status:  2 the status
--        3 cursor (seq, exclusive)  4 page size  5 'repair' or 'report'
-- Reply  {next cursor or '', {id, problem, id, problem ...}}; problem: unreachable | no record |
--        another status
-- Keeps  only work that neither a claim, a due time, a wake-up, a line, a turn nor a held list
--        would ever wake is woken; what ends elsewhere is left alone.
local now, repair = clock(), ARGV[5] == 'repair'
local index = ARGV[1] .. ARGV[2]
local deliveries = ARGV[1] == 'hg:dlvs:status:'
local found, last = {}, ''

local function listed(id, account)
  for _, alarm in ipairs({'hg:due', 'hg:wakes', 'hg:leases'}) do
    if redis.call('ZSCORE', alarm, id) then return true end
  end
  if not account then return false end
  local key = 'hg:acct:' .. account
  if redis.call('ZSCORE', key .. ':held', id) then return redis.call('HEXISTS', key, 'hold') == 1 end
  if not redis.call('ZSCORE', key .. ':line', id) then return false end
  return redis.call('ZSCORE', 'hg:turns', account) ~= false
end

local function wake(id)
  local job = not deliveries and load_job(id)
  if job then note(job, now, job.status, 'sweep', 'nothing led to it') end
  if job and job.status == 'queued' then
    ring(id, job.kind, now)
  elseif job and job.status == 'running' then
    redis.call('ZADD', 'hg:leases', job.lease, id)
  else
    -- What is meant for next week is not done today.
    local at = job and math.max(job.status == 'scheduled' and job.run_at or 0, job.wait_until) or 0
    redis.call('ZADD', 'hg:due', math.max(now, at), id)
  end
end

local function look(id)
  local key = (deliveries and 'hg:dlv:' or 'hg:job:') .. id
  local status, account, seq = unpack(redis.call('HMGET', key, 'status', 'account', 'seq'))
  if not status then return 'no record' end
  if status ~= ARGV[2] then
    if repair then redis.call('ZADD', ARGV[1] .. status, seq, id) end
    return 'another status'
  end
  if listed(id, account) then return nil end
  if repair then wake(id) end
  return 'unreachable'
end

local page = redis.call('ZRANGEBYSCORE', index, '(' .. ARGV[3], '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[4])
for i = 1, #page, 2 do
  local problem = look(page[i])
  last = page[i + 1]
  if problem then
    found[#found + 1] = page[i]
    found[#found + 1] = problem
    if repair and problem ~= 'unreachable' then redis.call('ZREM', index, page[i]) end
  end
end
if #page < 2 * tonumber(ARGV[4]) then last = '' end
return {last, found}
