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

local function load(id)
  if not deliveries then return load_job(id) end
  local record = load_hash('hg:dlv:' .. id)
  if record then record.id = id end
  return record
end

local function wake(record)
  if not deliveries then note(record, now, record.status, 'sweep', 'nothing led to it') end
  if record.status == 'queued' then
    ring(record.id, record.kind, now)
  elseif record.status == 'running' then
    redis.call('ZADD', 'hg:leases', record.lease, record.id)
  else
    -- What is meant for next week is not done today.
    local at = math.max(record.status == 'scheduled' and record.run_at or 0, record.wait_until or 0)
    redis.call('ZADD', 'hg:due', math.max(now, at), record.id)
  end
end

local function look(id)
  local record = load(id)
  if not record then return 'no record' end
  if record.status ~= ARGV[2] then
    if repair then redis.call('ZADD', ARGV[1] .. record.status, record.seq, id) end
    return 'another status'
  end
  if is_led_to(record) then return nil end
  if repair then wake(record) end
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
